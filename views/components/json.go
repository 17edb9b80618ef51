package components

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSONText is JSON as a person reads it, indented; "" for nothing. What is not
// JSON is given back as it is.
func JSONText(raw []byte) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return strings.TrimSpace(b.String())
}
