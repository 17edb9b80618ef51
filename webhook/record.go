package webhook

import (
	"net/http"
	"slices"
	"strings"

	"cronium.dev/cronium"
)

const (
	maxHeaders     = 60
	maxHeaderValue = 1000     // bytes that are kept of one
	maxBody        = 64 << 10 // bytes that are kept of a body
)

// Headers are those of a verified request as they are kept: sorted, bounded, with
// "…" in place of what is secret.
func Headers(w *cronium.Webhook, header http.Header) []cronium.DeliveryHeader {
	kept := make([]cronium.DeliveryHeader, 0, len(header))
	for name, values := range header {
		value := strings.Join(values, ", ")
		switch {
		case w.Secret(name):
			value = "…"
		case len(value) > maxHeaderValue:
			value = value[:maxHeaderValue] + "…"
		}
		kept = append(kept, cronium.DeliveryHeader{Name: clean(name), Value: clean(value)})
	}
	slices.SortFunc(kept, func(a, b cronium.DeliveryHeader) int { return strings.Compare(a.Name, b.Name) })
	return kept[:min(len(kept), maxHeaders)]
}

// Kept is the part of a body that is kept.
func Kept(body []byte) []byte { return body[:min(len(body), maxBody)] }

// clean is text as PostgreSQL can hold it.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}
