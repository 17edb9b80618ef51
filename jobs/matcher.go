package jobs

import (
	"strings"

	"cronium.dev/cronium"
)

// matcher tells which servers a selector of the form tag=value or name=value
// chooses.
func matcher(selector string) (func(*cronium.Server) bool, error) {
	key, value, ok := strings.Cut(selector, "=")
	if selector != "" && !ok {
		return func(*cronium.Server) bool { return false }, cronium.Errorf(cronium.CodeInvalid, "must be like role=web")
	}
	return func(s *cronium.Server) bool { return key == "name" && s.Name == value || s.Tags[key] == value }, nil
}
