package browsing

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/internal/testenv/browser"
)

const (
	// shown is the terminal whose tab is chosen.
	shown = "[role=tabpanel]:not([hidden]) "
	rows  = shown + ".xterm-rows"
)

// machine adds an SSH host by the API and gives the path of its page.
func (s *site) machine(t *testing.T, name string, host *testenv.SSHHost) string {
	t.Helper()
	var made struct{ ID string }
	server := map[string]any{
		"name": name, "address": host.Address, "port": host.Port, "user": "bash", "private_key": string(host.PrivateKey),
		"host_key": "ssh-ed25519 " + base64.StdEncoding.EncodeToString(host.HostKey),
	}
	if err := s.Try(t.Context(), http.MethodPost, "/api/v1/servers", nil, server, &made); err != nil {
		t.Fatal(err)
	}
	return "/servers/" + made.ID
}

// connected waits until the chosen terminal is.
func (p *page) connected() {
	p.t.Helper()
	p.says(shown+"[data-status]", "Connected")
}

// runs types a line into the chosen terminal.
func (p *page) runs(line string) {
	p.t.Helper()
	p.Click(shown + ".xterm-screen")
	p.Press(line + kb.Enter)
}

// terminalsUsed opens shells on a machine and comes back to them: over a reload,
// and over a server that was killed. Then the recording is found and played.
func terminalsUsed(t *testing.T, s *site) {
	containerUsed(t, s)
	host := testenv.SSH(t, testenv.SSHOptions{})
	server := s.machine(t, "web-1", host)
	p := s.person(t)
	p.open(server)
	p.clickText("Terminal")
	p.connected()
	p.runs(`kept=here; printf '\033[31mred-%s\033[0m \033[1;42mbold-%s\033[0m\n' text text`)
	p.says(rows, "red-text")
	p.Wait("[...document.querySelectorAll('.xterm-rows span')].some(e => e.textContent.includes('red-text') && getComputedStyle(e).color !== getComputedStyle(document.querySelector('.xterm-rows')).color)")
	p.runs("echo size is $(stty size)")
	size := func() string {
		return browser.Eval[string](p.Tab, "(({rows, cols}) => `size is ${rows} ${cols}`)(document.querySelector('cronium-terminal').screen)")
	}
	before := size()
	p.says(rows, before)
	p.Size(1000, 640)
	p.Wait("(({rows, cols}) => `size is ${rows} ${cols}`)(document.querySelector('cronium-terminal').screen) !== " + quote(before))
	p.runs("clear; echo size is $(stty size)")
	p.says(rows, size())
	p.Size(1280, 900)
	p.runs(`for i in $(seq 40); do echo line $i; done; printf '\033[3%sm%s\033[0m ' 1 red 2 green 3 yellow 4 blue 5 magenta 6 cyan; ls -l /`)
	p.says(rows, "cyan total") // printed, where the line that was typed has "cyan;"
	p.fill(shown+"input[type=search]", "line 7")
	p.Press(kb.Enter)
	p.Wait("document.querySelector('cronium-terminal').screen.getSelection() === 'line 7'")
	p.Axe()
	p.fits()
	p.picture("terminal")

	p.Click("[data-new]")
	p.present("[role=tab]:nth-child(2)[aria-selected=true]")
	p.connected()
	p.runs("echo the-$((1 + 1))nd")
	p.says(rows, "the-2nd")
	p.open(server + "/terminal") // as after a reload
	p.connected()
	p.says(rows, "the-2nd")
	p.Click("[role=tab]:first-child")
	p.connected()
	p.says(rows, "cyan")
	p.runs("echo it-is-$kept")
	p.says(rows, "it-is-here")
	p.Axe()

	address, err := url.Parse(s.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.killed = true
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	p.says(shown+"[data-status]", "Reconnecting")
	s.startServer(t, "--listen", address.Host)
	p.connected()
	p.runs("echo still-$kept")
	p.says(rows, "still-here")
	for _, problem := range p.Problems() { // connections that were cut and refused
		if !strings.Contains(problem, "net::ERR_") && !strings.Contains(problem, "etwork error") && !strings.Contains(problem, "WebSocket connection to") && !strings.Contains(problem, "Failed to fetch") {
			t.Errorf("the page reported: %s", problem)
		}
	}
	p.runs("exit 3")
	p.says(shown+"[data-status]", "The shell ended with exit code 3.")
	p.Click("[role=tab]:last-child")
	p.connected()
	p.Click(shown + "[data-close]")
	p.says(shown+"[data-status]", "The shell")
	p.Wait("document.querySelectorAll('[data-close][disabled]').length === 2")
	recordingPlayed(p)
}

// containerUsed opens a shell in a container of an event, and comes back to it.
func containerUsed(t *testing.T, s *site) {
	event := s.event(t, "Nightly export", cronium.EventBash, "echo fine\n", func(c *cronium.Content) {
		c.Environment = []cronium.Variable{{Name: "ENDPOINT", Value: "https://partner.example"}}
	})
	p := s.person(t)
	p.open("/events/" + event.String())
	p.clickText("Open terminal")
	p.connected()
	p.runs("kept=here; echo at $ENDPOINT; cat main.sh")
	p.says(rows, "at https://partner.example")
	p.Axe()
	p.picture("terminal-event")
	p.theme("dark")
	p.picture("terminal-event-dark")
	p.Size(360, 740)
	p.fits()
	p.Axe()
	p.picture("terminal-event-phone")
	p.Size(1280, 900)
	p.theme("light")
	p.open("/events/" + event.String() + "/terminal") // as after a reload
	p.connected()
	p.runs("echo kept-$kept; exit 2")
	p.says(shown+"[data-status]", "The shell ended with exit code 2.")
}

// recordingPlayed finds what was on a screen, and plays it.
func recordingPlayed(p *page) {
	p.open("/terminals")
	p.says("main table", "web-1")
	p.Axe()
	p.fits()
	p.picture("terminals")
	p.fill("main input[name=q]", "IT-is-HERE")
	p.follow("main form button")
	p.Wait("document.querySelectorAll('main tbody tr').length === 1")
	p.follow("main tbody a")
	p.says("[data-screen] .xterm-rows", "it-is-here")
	p.fill("main input[type=search]", "red-text")
	p.Press(kb.ArrowLeft)
	p.Press(kb.Enter)
	p.says("[data-clock]", "No more")
	p.Do(chromedp.Focus(chromedp.CSS("main input[type=range]")))
	p.Press(kb.Home)
	p.says("[data-clock]", "0:00 of")
	p.saysNot("[data-screen] .xterm-rows", "it-is-here")
	p.Do(chromedp.SetValue(chromedp.CSS("main select"), "20"))
	p.Click("[data-play]")
	p.says("[data-screen] .xterm-rows", "exit 3")
	p.says("[data-play]", "Play")
	p.Axe()
	p.fits()
	p.picture("recording")
	p.theme("dark")
	p.picture("recording-dark")
	p.Size(360, 740)
	p.fits()
	p.Axe()
	p.picture("recording-phone")
}

// filesMoved looks into folders of a machine, and brings files there and back.
func filesMoved(t *testing.T, s *site) {
	host := testenv.SSH(t, testenv.SSHOptions{})
	server := s.machine(t, "files-1", host)
	host.Exec(t, `su bash -c 'mkdir -p "/home/bash/a folder/inner"; cd "/home/bash/a folder"; echo hello > "<b>&?#%2f.txt"; echo odd > "$(printf "caf\351")"; ln -s inner to-inner; ln -s plain to-plain; echo plain > plain'; mkdir /root/closed; chmod 700 /root/closed`)
	p := s.person(t)
	p.theme("light")
	p.open(server)
	p.clickText("Files")
	p.says("main table", "a folder")
	p.follow("main td a[href*='a+folder']")
	p.says("main table", "<b>&?#%2f.txt")
	p.Axe()
	p.fits()
	p.picture("files")
	p.follow("main td a[href*='to-inner']")
	p.says("main .empty", "The folder is empty")
	p.follow("main .filter a")
	p.says("main table", "to-plain")

	// What is downloaded is what is there, whatever it is called.
	for name, want := range map[string]string{"%2525": "hello\n", "caf%25E9": "odd\n"} {
		got := browser.Eval[[]string](p.Tab, `fetch([...document.querySelectorAll("main td a")].find(a => a.getAttribute("href").includes(decodeURIComponent(`+quote(name)+`))).href)
			.then(async r => [await r.text(), r.headers.get("Content-Disposition").split(";")[0], r.headers.get("Content-Security-Policy"), r.headers.get("X-Content-Type-Options")])`)
		if strings.Join(got, "|") != want+"|attachment|default-src 'none'; sandbox|nosniff" {
			t.Errorf("%s is sent as %q", name, got)
		}
	}

	mine := filepath.Join(t.TempDir(), "my file & more.bin")
	upload := func(content string) {
		t.Helper()
		if err := os.WriteFile(mine, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Do(chromedp.SetUploadFiles(chromedp.CSS("cronium-upload [type=file]"), []string{mine}))
	}
	upload(strings.Repeat("first ", 100_000))
	p.follow("cronium-upload button")
	p.says("main table", "my file & more.bin")
	upload("second")
	p.Click("cronium-upload button")
	p.says("cronium-upload [role=status]", "is there already")
	p.refused(http.StatusConflict)
	p.Axe()
	p.Click("cronium-upload [type=checkbox]")
	p.follow("cronium-upload button")
	p.says("main table", "6 B")
	if got := host.Exec(t, `cat "/home/bash/a folder/my file & more.bin"; stat -c ' %U' "/home/bash/a folder/my file & more.bin"`); strings.TrimSpace(got) != "second bash" {
		t.Errorf("on the machine it is %q", got)
	}
	p.fill("main .filter input", "/root/closed")
	p.follow("main .filter button")
	p.says("main .notice", "may not")
	p.refused(http.StatusConflict)
	p.Axe()
	p.open(server + "/files?path=%2Fhome%2Fbash%2Fa+folder")
	p.theme("dark")
	p.picture("files-dark")
	p.Size(360, 740)
	p.fits()
	p.Axe()
	p.picture("files-phone")
	log, err := os.ReadFile(s.server.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"a file was uploaded", "a file was downloaded", "/home/bash/a folder/my file & more.bin", "/root/closed"} {
		if !strings.Contains(string(log), part) {
			t.Errorf("the log does not tell of %q", part)
		}
	}
}
