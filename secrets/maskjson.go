package secrets

import (
	"bytes"
	"encoding/json"
)

// JSON is a value in JSON with what is secret in it overwritten; it stays JSON.
// Where a secret is or holds more than a text, a text of asterisks takes its
// place.
func (m *Mask) JSON(value json.RawMessage) json.RawMessage {
	if m.Empty() || len(value) == 0 {
		return value
	}
	masked := bytes.Clone(value)
	found := m.Bytes(masked)
	if !bytes.ContainsRune(value, '\\') && (!found || json.Valid(masked)) {
		return masked // no letter is written in another way than it reads
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	w := jsonWriter{mask: m}
	if err := w.value(decoder); err != nil {
		return json.RawMessage(`"***"`) // it is no JSON
	}
	if w.changed || !found {
		return w.out.Bytes()
	}
	// The secret is JSON itself, or spans several texts.
	return json.RawMessage(`"***"`)
}

// jsonWriter writes what a decoder reads, masked.
type jsonWriter struct {
	mask    *Mask
	out     bytes.Buffer
	changed bool
}

// value writes the next value.
func (w *jsonWriter) value(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return w.plain(token)
	}
	w.out.WriteByte(byte(delim))
	for first := true; decoder.More(); first = false {
		if !first {
			w.out.WriteByte(',')
		}
		if delim == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			if err := w.plain(key); err != nil {
				return err
			}
			w.out.WriteByte(':')
		}
		if err := w.value(decoder); err != nil {
			return err
		}
	}
	end, err := decoder.Token()
	if err != nil {
		return err
	}
	w.out.WriteByte(byte(end.(json.Delim)))
	return nil
}

// plain writes a text, a number, true, false or null.
func (w *jsonWriter) plain(token json.Token) error {
	switch t := token.(type) {
	case string:
		masked := w.mask.Text(t)
		w.changed = w.changed || masked != t
		token = masked
	case json.Number:
		if masked := w.mask.Text(t.String()); masked != t.String() {
			w.changed, token = true, masked
		}
	}
	text, err := json.Marshal(token)
	w.out.Write(text)
	return err
}
