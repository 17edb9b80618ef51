package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// addForms adds all that a value may look like in output: as it is, each of its
// lines, and all of that in base64, hexadecimal, URL encoding and with JSON's
// escapes. Of a JSON value each text in it counts as a value too.
func addForms(forms map[string]bool, value []byte) {
	for _, text := range texts(value) {
		addText(forms, text)
		addText(forms, bytes.TrimSpace(text)) // a file ends with a line feed, and programs take it off
		lines := bytes.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
		if len(lines) < 2 {
			continue
		}
		for _, line := range lines {
			if line = bytes.TrimSpace(line); len(line) >= minPattern {
				addText(forms, line)
			}
		}
	}
}

// texts are a value and, where it is a list or an object in JSON, the texts and
// long numbers in it.
func texts(value []byte) [][]byte {
	all := [][]byte{value}
	if trimmed := bytes.TrimSpace(value); len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
		return all
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var parsed any
	if decoder.Decode(&parsed) != nil {
		return all
	}
	if compact, err := json.Marshal(parsed); err == nil {
		all = append(all, compact)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, []byte(v))
		case json.Number:
			all = append(all, []byte(v.String()))
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(parsed)
	return all
}

func addText(forms map[string]bool, text []byte) {
	if len(text) < minPattern {
		return
	}
	add(forms, text)
	addBase64(forms, text)
	add(forms, hex.AppendEncode(nil, text))
	add(forms, bytes.ToUpper(hex.AppendEncode(nil, text)))
	s := string(text)
	for _, form := range []string{url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), percent(s)} {
		add(forms, []byte(form))
		add(forms, []byte(lowerEscapes(form)))
	}
	for _, form := range jsonForms(s) {
		add(forms, []byte(form))
	}
}

// add adds a pattern, cut into pieces where it is long.
func add(forms map[string]bool, text []byte) {
	if len(text) < minPattern {
		return
	}
	for len(text) > maxPattern {
		forms[string(text[:maxPattern])] = true
		text = text[min(maxPattern, len(text)-maxPattern):]
	}
	forms[string(text)] = true
}

// lineLengths are those at which programs break base64.
var lineLengths = []int{64, 76}

// addBase64 adds what base64 makes of a text that stands somewhere in another: by
// how many bytes are before it, modulo three, its bits fall into other letters.
// Letters that depend on what is around it are left out, except at its end.
func addBase64(forms map[string]bool, text []byte) {
	for before := range 3 {
		padded := append(make([]byte, before), text...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			letters := encoding.AppendEncode(nil, padded)
			from, to := (before*8+5)/6, len(padded)*8/6
			add(forms, letters[from:to])
			if before > 0 {
				continue
			}
			add(forms, letters) // when it stands alone
			for _, length := range lineLengths {
				for line := letters; len(letters) > length && len(line) > 0; {
					n := min(length, len(line))
					add(forms, line[:n])
					line = line[n:]
				}
			}
		}
	}
}

// percent escapes each byte that is not a letter or a digit, as some programs do.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// jsonForms are a text inside of a JSON string: as Go, JavaScript, Python and jq
// write it, and inside of a string in that once more.
func jsonForms(s string) []string {
	var forms []string
	for _, ascii := range []bool{false, true} {
		for _, html := range []bool{false, true} {
			once := jsonEscape(s, ascii, html)
			forms = append(forms, once, strings.ReplaceAll(once, "/", `\/`), jsonEscape(once, ascii, html))
		}
	}
	return forms
}

var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func jsonEscape(s string, ascii, html bool) string {
	var b strings.Builder
	for _, r := range s {
		switch short := shortEscapes[r]; {
		case short != "":
			b.WriteString(short)
		case r < 0x20 || html && strings.ContainsRune("<>&\u2028\u2029", r) || ascii && r >= 0x7f && r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		case ascii && r >= 0x10000 && r <= utf8.MaxRune:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
