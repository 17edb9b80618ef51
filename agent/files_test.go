package agent_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

func (m *machine) upload(open *agentproto.WriteFileOpen, data []byte) error {
	m.t.Helper()
	if open.Grant == nil {
		open.Grant = m.grant(manifest.ActionFilesWrite, string(open.Path))
	}
	stream, err := m.client().WriteFile(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	_ = stream.Send(&agentproto.WriteFileRequest{Part: &agentproto.WriteFileRequest_Open{Open: open}})
	for piece := range slices.Chunk(data, 200<<10) {
		_ = stream.Send(&agentproto.WriteFileRequest{Part: &agentproto.WriteFileRequest_Data{Data: piece}})
	}
	_, err = stream.CloseAndRecv()
	return err
}

func (m *machine) download(path string, from int64) ([]byte, *agentproto.FileInfo, error) {
	m.t.Helper()
	stream, err := m.client().ReadFile(m.t.Context(), &agentproto.ReadFileRequest{
		Grant: m.grant(manifest.ActionFilesRead, path), Path: []byte(path), From: from,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	var data []byte
	var info *agentproto.FileInfo
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return data, info, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if part.GetInfo() != nil {
			info = part.GetInfo()
		}
		data = append(data, part.GetData()...)
	}
}

func TestFilesComeAndGoWhole(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "Jahresbericht – 2026 (1) \xff\n.bin") // a name is bytes
	data := make([]byte, 1<<20+17)
	rand.Read(data)
	if err := m.upload(&agentproto.WriteFileOpen{Path: []byte(path), Size: int64(len(data)), Mode: 0o640}, data); err != nil {
		t.Fatal(err)
	}
	got, info, err := m.download(path, 0)
	if err != nil || !bytes.Equal(got, data) || fs.FileMode(info.GetMode()) != 0o640 {
		t.Fatalf("downloaded %d bytes of mode %o, %v", len(got), info.GetMode(), err)
	}
	if got, _, err := m.download(path, 1<<20); err != nil || !bytes.Equal(got, data[1<<20:]) {
		t.Errorf("the rest has %d bytes, %v", len(got), err)
	}
	list, err := m.client().ListFiles(t.Context(), &agentproto.ListFilesRequest{Grant: m.grant(manifest.ActionFilesRead, dir), Path: []byte(dir)})
	if err != nil || len(list.GetFiles()) != 1 || list.GetFiles()[0].GetSize() != int64(len(data)) {
		t.Errorf("the folder has %v, %v", list, err)
	}

	// A file that is there is replaced only when that is wanted, and keeps its mode.
	if err := m.upload(&agentproto.WriteFileOpen{Path: []byte(path), Size: 3}, []byte("new")); status.Code(err) != codes.AlreadyExists {
		t.Errorf("writing over a file gives %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := m.upload(&agentproto.WriteFileOpen{Path: []byte(link), Size: 3, Replace: true}, []byte("new")); err != nil {
		t.Fatal(err)
	}
	stat, err := os.Lstat(path)
	if content, _ := os.ReadFile(path); err != nil || string(content) != "new" || stat.Mode().Perm() != 0o640 {
		t.Errorf("the file has %q and mode %o, %v", content, stat.Mode().Perm(), err)
	}
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link became %q, %v", target, err)
	}
}

func TestAFileThatIsNotWholeIsNotWritten(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	dir := t.TempDir()
	for name, size := range map[string]int64{"short": 10, "long": 2} {
		if err := m.upload(&agentproto.WriteFileOpen{Path: []byte(filepath.Join(dir, name)), Size: size}, []byte("four")); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a file too %s gives %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestFilesAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]codes.Code{
		filepath.Join(dir, "absent"): codes.NotFound,
		dir:                          codes.InvalidArgument,
		pipe:                         codes.InvalidArgument,
		"relative":                   codes.InvalidArgument,
	} {
		if _, _, err := m.download(path, 0); status.Code(err) != want || strings.Contains(err.Error(), "syscall") {
			t.Errorf("%s gives %v, want %v", path, err, want)
		}
	}
	stolen := m.grant(manifest.ActionFilesRead, filepath.Join(dir, "a"))
	err := m.upload(&agentproto.WriteFileOpen{Path: []byte(filepath.Join(dir, "a")), Grant: stolen, Size: 1}, []byte("x"))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a grant to read allows writing: %v", err)
	}
}
