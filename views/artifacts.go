package views

import (
	"encoding/hex"
	"net/url"
	"strconv"

	"cronium.dev/cronium"
)

// ArtifactRow is a file that a run has kept.
type ArtifactRow struct {
	Name   string
	Of     string // which attempt or server it is of; "" where that is clear
	Size   int64
	Digest string // "SHA-256 …"
	URL    string
}

func artifactRow(a *cronium.Artifact, of string) ArtifactRow {
	return ArtifactRow{
		Name: a.Name, Of: of, Size: a.Size, Digest: "SHA-256 " + hex.EncodeToString(a.SHA256),
		URL: "/executions/" + a.ExecutionID.String() + "/artifact?name=" + url.QueryEscape(a.Name),
	}
}

func (p Run) artifactRows() (rows []ArtifactRow) {
	attempts := map[cronium.ID]string{}
	if len(p.Executions) > 1 {
		for _, e := range p.Executions {
			attempts[e.ID] = "#" + strconv.Itoa(e.Attempt)
		}
	}
	for i := range p.Artifacts {
		rows = append(rows, artifactRow(&p.Artifacts[i], attempts[p.Artifacts[i].ExecutionID]))
	}
	return rows
}

func (p Fleet) artifactRows() (rows []ArtifactRow) {
	servers := map[cronium.ID]string{}
	for _, t := range p.Targets {
		if t.ExecutionID != nil {
			servers[*t.ExecutionID] = t.Name
		}
	}
	for i := range p.Artifacts {
		of, known := servers[p.Artifacts[i].ExecutionID]
		if !known {
			of = "earlier attempt"
		}
		rows = append(rows, artifactRow(&p.Artifacts[i], of))
	}
	return rows
}
