package cronium

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a workspace's variables.
const (
	MaxValueBytes         = 1 << 20  // of a variable's JSON
	MaxSecretBytes        = 64 << 10 // of a secret's JSON
	MaxSecretsBytes       = 1 << 20  // of all secrets of a workspace: each run looks for them in its output
	MinSecret             = 4        // characters: shorter ones could not be masked without masking everything
	MaxWorkspaceVariables = 10_000
	MaxGrants             = 1_000 // events that may use one variable
)

// VariableType is what a variable's value is.
type VariableType string

// The types. A secret is a STRING or JSON.
const (
	VariableString  VariableType = "STRING"
	VariableNumber  VariableType = "NUMBER"
	VariableBoolean VariableType = "BOOLEAN"
	VariableJSON    VariableType = "JSON"
)

// VariableTypes lists them as a form shows them.
var VariableTypes = []VariableType{VariableString, VariableNumber, VariableBoolean, VariableJSON}

// Label is the type's name for people.
func (t VariableType) Label() string {
	switch t {
	case VariableNumber:
		return "Number"
	case VariableBoolean:
		return "Yes or no"
	case VariableJSON:
		return "JSON"
	}
	return "Text"
}

// WorkspaceVariable is a named value of a workspace that scripts can read and
// write. A secret's value is encrypted and masked in output.
type WorkspaceVariable struct {
	ID          ID
	WorkspaceID ID
	Key         string // letters, digits, and _ . - after the first; at most 128
	Environment string // like prod; "" = for all, unless there is one of the environment
	Type        VariableType
	Secret      bool
	Description string          // at most 500 characters
	Value       json.RawMessage // nil for a secret
	DataKey     int             // for a secret: the version of the key that seals it
	Sealed      []byte          // for a secret: its JSON
	Size        int             // bytes of the JSON
	AllEvents   bool            // each event may use it; false: those that are granted it
	Version     int             // from 1; each change counts
	CreatedAt   time.Time
	UpdatedAt   time.Time
	UpdatedBy   string // a person's, a token's or an event's name
	JobID       *ID    // of the script that changed it last
}

// variableKey is what a variable may be called: a word of scripts and templates.
var variableKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)

// ValidVariableKey tells whether a variable may be called key.
func ValidVariableKey(key string) bool { return variableKey.MatchString(key) }

// Validate checks all but the value.
func (v *WorkspaceVariable) Validate() Problems {
	var p Problems
	p.Add(ValidVariableKey(v.Key), "key", "must be letters, digits, _, . or -, beginning with a letter or _, at most 128, like API_KEY")
	p.Add(v.Environment == "" || environment.MatchString(v.Environment), "environment", "must be a word like prod or staging, of at most 40 characters, or empty for all")
	p.Add(slices.Contains(VariableTypes, v.Type), "type", "must be STRING, NUMBER, BOOLEAN or JSON")
	p.Add(!v.Secret || v.Type == VariableString || v.Type == VariableJSON, "type", "must be STRING or JSON for a secret")
	p.Add(utf8.RuneCountInString(v.Description) <= 500 && utf8.ValidString(v.Description) && !strings.ContainsRune(v.Description, 0), "description", "must be at most 500 characters")
	return p
}

// CheckValue checks a value, which is JSON, for a type.
func CheckValue(value json.RawMessage, t VariableType, secret bool) Problems {
	var p Problems
	if !json.Valid(value) || !utf8.Valid(value) {
		p.Add(false, "value", "must be JSON")
		return p
	}
	limit := MaxValueBytes
	if secret {
		limit = MaxSecretBytes
	}
	p.Add(len(value) <= limit, "value", "must be at most %d KiB", limit>>10)
	is := TypeOf(value)
	p.Add(is == t || t == VariableJSON, "value", "must be %s", map[VariableType]string{
		VariableString: "text", VariableNumber: "a number, like 42 or 0.5", VariableBoolean: "true or false", VariableJSON: "JSON",
	}[t])
	if secret && len(p) == 0 {
		text := string(value)
		if is == VariableString {
			_ = json.Unmarshal(value, &text) // it is valid
		}
		p.Add(utf8.RuneCountInString(strings.TrimSpace(text)) >= MinSecret, "value",
			"must have at least %d characters for a secret: a shorter one cannot be masked in output", MinSecret)
	}
	return p
}

// TypeOf is the type that a value in JSON has by itself.
func TypeOf(value json.RawMessage) VariableType {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return VariableJSON
	}
	switch c := value[0]; {
	case c == '"':
		return VariableString
	case c == 't', c == 'f':
		return VariableBoolean
	case c == '-' || c >= '0' && c <= '9':
		return VariableNumber
	}
	return VariableJSON
}

// VariableChange is one step in the history of a variable.
type VariableChange struct {
	Version int
	What    string // what was done, for a person
	Type    VariableType
	Value   json.RawMessage // nil: of a secret, or too long to be kept
	Size    int
	At      time.Time
	By      string
	JobID   *ID
}
