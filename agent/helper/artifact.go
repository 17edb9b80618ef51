package helper

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// artifactPart is how many bytes of a file one call carries. They travel as
// base64 and so fit well into a call.
const artifactPart = 512 << 10

type partParams struct {
	Upload string `json:"upload"` // the same for all parts of one file; the script's own choice
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

type endParams struct {
	Upload string `json:"upload"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// saveArtifact sends a file to the server, part by part: never more than one of
// them is in memory, and one that was under way when the server went away is
// sent to the next.
func saveArtifact(s *script, args []string) error {
	if err := takes("save-artifact", args, 1, 2); err != nil {
		return err
	}
	from, name := s.stdin, argument(args, 1)
	if args[0] == "-" {
		if name == "" {
			return errors.New("save-artifact needs a NAME for what it reads from standard input")
		}
	} else {
		file, err := os.Open(args[0])
		if err != nil {
			return fmt.Errorf("keep artifact: %w", err)
		}
		defer file.Close()
		if from = file; name == "" {
			name = filepath.Base(args[0])
		}
	}
	result, err := s.client.upload(from, name)
	if err != nil {
		return err
	}
	return printValue(result, s.stdout)
}

func (c client) upload(from io.Reader, name string) ([]byte, error) {
	part := partParams{Upload: rand.Text(), Name: name}
	digest := sha256.New()
	buffer := make([]byte, artifactPart)
	for {
		n, err := io.ReadFull(from, buffer)
		if n > 0 {
			part.Data = buffer[:n]
			digest.Write(part.Data)
			if _, err := c.call("artifact.part", part); err != nil {
				return nil, err
			}
			part.Offset += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("keep artifact %s: %w", name, err)
		}
	}
	return c.call("artifact.end", endParams{
		Upload: part.Upload, Name: name, Size: part.Offset, SHA256: hex.EncodeToString(digest.Sum(nil)),
	})
}

// argument is one that may be left out.
func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}
