package browsing

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"cronium.dev/cronium"
)

// scriptDropped has one script of a page fail to load the first time.
func scriptDropped(t *testing.T, s *site) {
	job := s.run(t, s.event(t, "Dropped", cronium.EventBash, "echo fine\n"))
	s.finished(t, job)
	p := s.person(t)
	p.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		paused := cdp.Events(ctx, t, fetch.RequestPaused)
		if _, err := cdp.Call(ctx, t, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/js/ansi.js"}}}); err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, t, cdppage.Navigate, cdppage.NavigateParams{URL: s.server.Address + "/jobs/" + job.String()}); err != nil {
			return err
		}
		for request, err := range paused {
			if err != nil {
				return err
			}
			if _, err := cdp.Call(ctx, t, fetch.FailRequest, fetch.FailRequestParams{RequestID: request.RequestID, ErrorReason: network.ErrorReasonConnectionAborted}); err != nil {
				return err
			}
			break
		}
		_, err := cdp.Call(ctx, t, fetch.Disable, cdp.Empty{})
		return err
	}))
	p.says(".log-rows", "fine")
	p.says(".log-foot", "complete")
	if problems := p.Problems(); len(problems) != 1 || !strings.Contains(problems[0], "ansi.js") {
		t.Errorf("the browser reports %q, want the script that was dropped", problems)
	}
}
