package files

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// piece is how much of an upload one message has.
const piece = 256 << 10

// Download is a file that is being read. Close ends it.
type Download struct {
	File
	link   *executor.Link
	cancel context.CancelFunc
	stream grpc.ServerStreamingClient[proto.FilePart]
	server *cronium.Server
	rest   []byte
	left   int64
}

// Open begins to read a file. Reading fails with io.ErrUnexpectedEOF where the
// server gives less than it announced.
func (s *Service) Open(ctx context.Context, server *cronium.Server, name string) (*Download, error) {
	if err := checkPath(name); err != nil {
		return nil, err
	}
	link, grant, err := s.grant(ctx, server, manifest.ActionFilesRead, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &Download{link: link, cancel: cancel, server: server}
	first, err := d.open(ctx, &proto.ReadFileRequest{Grant: grant, Path: []byte(name)})
	if err != nil {
		d.Close()
		return nil, explain(server, err)
	}
	d.File, d.rest = fileOf(first.GetInfo()), first.GetData()
	d.left = d.Size
	return d, nil
}

func (d *Download) open(ctx context.Context, r *proto.ReadFileRequest) (*proto.FilePart, error) {
	var err error
	if d.stream, err = d.link.Client().ReadFile(ctx, r); err != nil {
		return nil, err
	}
	return d.stream.Recv()
}

// Read gives what comes next, never more than Size bytes in all.
func (d *Download) Read(p []byte) (int, error) {
	for len(d.rest) == 0 && d.left > 0 {
		part, err := d.stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF // it became shorter meanwhile
		}
		if err != nil {
			return 0, explain(d.server, err)
		}
		d.rest = part.GetData()
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.rest[:min(int64(len(d.rest)), d.left)])
	d.rest, d.left = d.rest[n:], d.left-int64(n)
	return n, nil
}

// Close ends the reading.
func (d *Download) Close() {
	d.cancel()
	d.link.Close()
}

// Upload is a file that is put on a server.
type Upload struct {
	Path    string // absolute
	Size    int64  // exactly so many bytes are sent
	Replace bool   // false: a file that is there is an error
}

// Put writes a file. A file that it replaces keeps its mode; others get 0644.
func (s *Service) Put(ctx context.Context, server *cronium.Server, u Upload, content io.Reader) error {
	if err := checkPath(u.Path); err != nil {
		return err
	}
	if u.Size > MaxUpload {
		return cronium.Errorf(cronium.CodeInvalid, "An upload may have 1 GiB at most.")
	}
	link, grant, err := s.grant(ctx, server, manifest.ActionFilesWrite, u.Path)
	if err != nil {
		return err
	}
	defer link.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := link.Client().WriteFile(ctx)
	if err != nil {
		return explain(server, err)
	}
	open := &proto.WriteFileOpen{Grant: grant, Path: []byte(u.Path), Size: u.Size, Replace: u.Replace}
	refused := stream.Send(&proto.WriteFileRequest{Part: &proto.WriteFileRequest_Open{Open: open}})
	buffer := make([]byte, piece)
	for left := u.Size; left > 0 && refused == nil; {
		n, err := io.ReadFull(content, buffer[:min(left, piece)])
		if err != nil {
			return &cronium.Error{Code: cronium.CodeInvalid, Message: "The upload ended early, so nothing was written.", Err: err}
		}
		left -= int64(n)
		refused = stream.Send(&proto.WriteFileRequest{Part: &proto.WriteFileRequest_Data{Data: buffer[:n]}})
	}
	if _, err := stream.CloseAndRecv(); err != nil { // tells also why nothing more was taken
		return explain(server, err)
	}
	return nil
}
