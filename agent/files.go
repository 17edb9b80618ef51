package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

// Bounds of what is listed and sent.
const (
	mostFiles = 5000
	filePiece = 256 << 10
)

// ListFiles implements the service: a folder as the agent's user sees it.
func (a *Agent) ListFiles(_ context.Context, r *agentproto.ListFilesRequest) (*agentproto.ListFilesResponse, error) {
	path, err := a.granted(r.GetGrant(), manifest.ActionFilesRead, string(r.GetPath()))
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fileError("open", path, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(mostFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fileError("list", path, err)
	}
	list := &agentproto.ListFilesResponse{Path: []byte(path), Truncated: len(entries) > mostFiles}
	owners := map[uint32]string{}
	for _, entry := range entries[:min(len(entries), mostFiles)] {
		info, err := entry.Info()
		if err != nil {
			continue // removed meanwhile
		}
		list.Files = append(list.Files, describe(info, filepath.Join(path, entry.Name()), owners))
	}
	return list, nil
}

// describe is one file; owners remembers the names of users.
func describe(info fs.FileInfo, path string, owners map[uint32]string) *agentproto.FileInfo {
	f := &agentproto.FileInfo{
		Name: []byte(info.Name()), Size: info.Size(), Mode: uint32(info.Mode()), ModifiedUnixMs: info.ModTime().UnixMilli(),
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		name, known := owners[stat.Uid]
		if !known {
			name = strconv.Itoa(int(stat.Uid))
			if u, err := user.LookupId(name); err == nil {
				name = u.Username
			}
			owners[stat.Uid] = name
		}
		f.Owner = name
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		to, _ := os.Readlink(path) // removed meanwhile: it points nowhere
		f.Link = []byte(to)
	}
	return f
}

// ReadFile implements the service. Only regular files are read: a pipe or a
// device may never end.
func (a *Agent) ReadFile(r *agentproto.ReadFileRequest, stream grpc.ServerStreamingServer[agentproto.FilePart]) error {
	path, err := a.granted(r.GetGrant(), manifest.ActionFilesRead, string(r.GetPath()))
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // opening a pipe must not wait
	if err != nil {
		return fileError("open", path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fileError("read", path, err)
	}
	if !info.Mode().IsRegular() {
		return status.Errorf(codes.InvalidArgument, "%s is not a regular file, so it cannot be downloaded.", path)
	}
	if _, err := file.Seek(r.GetFrom(), io.SeekStart); err != nil {
		return fileError("read", path, err)
	}
	part := &agentproto.FilePart{Info: describe(info, path, map[uint32]string{})}
	buf := make([]byte, filePiece)
	// No more than it has now: a log that grows would have no end.
	rest := io.LimitReader(file, info.Size()-r.GetFrom())
	for {
		n, err := io.ReadFull(rest, buf)
		part.Data = buf[:n]
		if n > 0 || part.Info != nil {
			if err := stream.Send(part); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fileError("read", path, err)
		}
		part = &agentproto.FilePart{}
	}
}

// WriteFile implements the service: the file is there whole, or not at all.
func (a *Agent) WriteFile(stream grpc.ClientStreamingServer[agentproto.WriteFileRequest, agentproto.WriteFileResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	path, err := a.granted(open.GetGrant(), manifest.ActionFilesWrite, string(open.GetPath()))
	if err != nil {
		return err
	}
	if open.GetFolders() {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fileError("make the folder of", path, err)
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the file that a link points to, not the link
	}
	mode := fs.FileMode(open.GetMode()).Perm()
	if mode == 0 {
		mode = 0o644
	}
	if old, err := os.Lstat(path); err == nil {
		if !old.Mode().IsRegular() {
			return status.Errorf(codes.InvalidArgument, "%s is there and not a regular file.", path)
		}
		if !open.GetReplace() {
			return status.Errorf(codes.AlreadyExists, "%s is there already. Choose to replace it, or another name.", path)
		}
		if open.GetMode() == 0 {
			mode = old.Mode().Perm()
		}
	}
	if err := writeWhole(stream, path, open.GetSize(), mode, open.GetReplace()); err != nil {
		return err
	}
	return stream.SendAndClose(&agentproto.WriteFileResponse{Path: []byte(path)})
}

// writeWhole writes beside the file and then puts it in its place.
func writeWhole(stream grpc.ClientStreamingServer[agentproto.WriteFileRequest, agentproto.WriteFileResponse], path string, size int64, mode fs.FileMode, replace bool) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".cronium-upload-*")
	if err != nil {
		return fileError("write", path, err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	left := size
	for left > 0 {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return status.Errorf(codes.InvalidArgument, "%s ended %d bytes early, so nothing was written.", path, left)
		}
		if err != nil {
			return err
		}
		left -= int64(len(r.GetData()))
		if left < 0 {
			return status.Errorf(codes.InvalidArgument, "%s has more than the %d bytes announced, so nothing was written.", path, size)
		}
		if _, err := file.Write(r.GetData()); err != nil {
			return fileError("write", path, err)
		}
	}
	if err := errors.Join(file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return fileError("write", path, err)
	}
	if replace {
		err = os.Rename(file.Name(), path)
	} else {
		err = os.Link(file.Name(), path) // fails where a file has appeared meanwhile
	}
	if err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// granted checks the grant, which is for the path as it was asked for, and makes
// the path whole: "" is the home of the agent's user.
func (a *Agent) granted(grant *agentproto.SignedGrant, action, path string) (string, error) {
	if err := manifest.VerifyGrant(a.config.PublicKey, grant, a.config.Target, action, path, time.Now()); err != nil {
		return "", refusal(err)
	}
	if path == "" {
		_, _, path = loginShell(a.config.Work)
	}
	if !filepath.IsAbs(path) {
		return "", status.Errorf(codes.InvalidArgument, "the path must be absolute, like /var/log, not %q", path)
	}
	return filepath.Clean(path), nil
}

// fileError puts the system's refusal into words, with a code that tells the
// kind.
func fileError(what, path string, err error) error {
	code, why := codes.Internal, err.Error()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code, why = codes.NotFound, "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		code, why = codes.PermissionDenied, "the agent's user may not"
	case errors.Is(err, fs.ErrExist):
		code, why = codes.AlreadyExists, "it is there already"
	case errors.Is(err, unix.ENOTDIR):
		code, why = codes.InvalidArgument, "it is no folder"
	case errors.Is(err, unix.EISDIR):
		code, why = codes.InvalidArgument, "it is a folder"
	case errors.Is(err, unix.EROFS):
		code, why = codes.FailedPrecondition, "the file system is read-only"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		code, why = codes.ResourceExhausted, "the disk is full"
	}
	return status.Error(code, fmt.Sprintf("Could not %s %s: %s.", what, path, why))
}
