package jobs

import (
	"encoding/json"
	"fmt"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/template"
)

// groupOf is the group of a job with an input. An input that has not what the
// group's key names is refused: jobs that were meant to be kept apart would
// otherwise share a group.
func groupOf(group *cronium.Group, input json.RawMessage) (key string, limit int, err error) {
	if group == nil {
		return "", 0, nil
	}
	parsed, err := template.Parse(group.Key)
	if err != nil { // it was read when the version was saved
		return "", 0, fmt.Errorf("read the group %q: %w", group.Key, err)
	}
	key, missing, err := parsed.Render(map[string]any{"input": input}, template.Plain)
	var p cronium.Problems
	switch {
	case err != nil:
		p.Add(false, "input", "gives no key for the group %s: %s", group.Key, err)
	case len(missing) > 0:
		p.Add(false, "input", "must have what the group %s names: %s", group.Key, strings.Join(missing, "; "))
	default:
		p.Add(len(key) <= 1000, "input", "makes the group's key longer than 1,000 bytes")
	}
	return key, group.Limit, p.Err("The run")
}
