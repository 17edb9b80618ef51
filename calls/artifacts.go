package calls

import (
	"context"
	"encoding/hex"
	"regexp"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
)

// addArtifacts adds the methods by which a script keeps a file with its run. They
// name by themselves what they are about, so a repeated one changes nothing and no
// answer is kept.
func (c *Calls) addArtifacts() {
	c.methods["artifact.part"] = with(c.artifactPart)
	c.methods["artifact.end"] = with(c.endArtifact)
}

// uploads is how many parts of files are stored at once: scripts that send much
// are not to take all connections of the database.
const uploads = 4

// partBytes is the longest part. The helper libraries send half of it.
const partBytes = 1 << 20

var uploadPattern = regexp.MustCompile(`^[0-9A-Za-z]{16,64}$`)

type (
	partParams struct {
		Upload string `json:"upload"` // the script's own name for the sending of one file
		Name   string `json:"name"`
		Offset int64  `json:"offset"`
		Data   []byte `json:"data"`
	}
	endParams struct {
		Upload string `json:"upload"`
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"` // hex
	}
)

func upload(of jobs.CallOf, name, file string) (store.Upload, error) {
	if !uploadPattern.MatchString(name) {
		return store.Upload{}, cronium.Errorf(cronium.CodeInvalid, "An upload is named by 16 to 64 letters and digits.")
	}
	if !cronium.ValidArtifactName(file) {
		return store.Upload{}, cronium.Errorf(cronium.CodeInvalid, "%.60q cannot be an artifact's name: 1 to 200 bytes, without slashes and control characters.", file)
	}
	return store.Upload{WorkspaceID: of.WorkspaceID, JobID: of.JobID, ExecutionID: of.ExecutionID, Upload: name, Name: file}, nil
}

func (c *Calls) artifactPart(ctx context.Context, of jobs.CallOf, p partParams) (any, error) {
	u, err := upload(of, p.Upload, p.Name)
	if err != nil {
		return nil, err
	}
	if p.Offset < 0 || len(p.Data) == 0 || len(p.Data) > partBytes {
		return nil, cronium.Errorf(cronium.CodeInvalid, "A part of an artifact is 1 to %d bytes at an offset from 0.", partBytes)
	}
	select {
	case c.uploading <- struct{}{}:
		defer func() { <-c.uploading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	size, err := c.Store.AddArtifactPart(ctx, u, p.Offset, p.Data, of.Limits.ArtifactBytes())
	return answer{"size": size}, err
}

func (c *Calls) endArtifact(ctx context.Context, of jobs.CallOf, p endParams) (any, error) {
	u, err := upload(of, p.Upload, p.Name)
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(p.SHA256)
	if err != nil || len(sum) != 32 {
		return nil, cronium.Errorf(cronium.CodeInvalid, "An artifact's sha256 is 64 hexadecimal digits.")
	}
	a, err := c.Store.EndArtifact(ctx, u, p.Size, sum)
	if err != nil {
		return nil, err
	}
	if c.Changed != nil {
		c.Changed(of.JobID)
	}
	return answer{"id": a.ID, "name": a.Name, "size": a.Size, "sha256": p.SHA256}, nil
}
