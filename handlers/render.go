package handlers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"

	"github.com/a-h/templ"
)

// gzipFrom is the size from which compressing a page is worth its time.
const gzipFrom = 1400

// gzipLevel takes 1 ms for a page of 100 KB.
const gzipLevel = 4

// render answers with a component: a page, or the part of it that htmx asked
// for. It is rendered whole before the first byte is sent, so that an error
// half-way is an error page and not half a page.
func (h *Handlers) render(w http.ResponseWriter, r *http.Request, status int, component templ.Component) error {
	var page bytes.Buffer
	if err := component.Render(r.Context(), &page); err != nil {
		return fmt.Errorf("render %s: %w", requestOf(r).pattern, err)
	}
	return h.writeHTML(w, r, status, page.Bytes())
}

func (h *Handlers) writeHTML(w http.ResponseWriter, r *http.Request, status int, page []byte) error {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Add("Vary", "Accept-Encoding")
	if len(page) < gzipFrom || !acceptsGzip(r) {
		w.WriteHeader(status)
		_, _ = w.Write(page) // the browser may be gone
		return nil
	}
	header.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, ok := h.gzips.Get().(*gzip.Writer)
	if ok {
		z.Reset(w)
	} else {
		z, _ = gzip.NewWriterLevel(w, gzipLevel) // the level is a valid one
	}
	defer h.gzips.Put(z)
	if _, err := z.Write(page); err == nil {
		_ = z.Close()
	}
	return nil
}

// acceptsGzip reads Accept-Encoding. A client that refuses gzip by q=0 is
// taken at its word.
func acceptsGzip(r *http.Request) bool {
	for entry := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(entry, " ", ""), ";q=")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(quality, "0.") != "" || quality == ""
		}
	}
	return false
}
