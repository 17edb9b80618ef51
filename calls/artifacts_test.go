package calls

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"cronium.dev/artifacts"
	"cronium.dev/cronium"
)

// Scripts of each language, in containers without network, keep files that are
// larger than one part; what exceeds the event's limit is refused and the script
// goes on.
func TestFilesThatScriptsKeepArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.engine(3)
	keeper := artifacts.New(artifacts.Config{Records: s.Store})
	for kind, script := range map[cronium.EventType]string{
		cronium.EventPython: `
import cronium
open("a.txt", "w").write("line of a report\n" * 80_000)
cronium.save_artifact("a.txt")
open("a.txt", "a").write("more")
print(cronium.save_artifact("a.txt")["sha256"])
open("large", "wb").truncate(63 << 20)
try:
    cronium.save_artifact("large")
except cronium.CroniumAPIError as error:
    print(error.status_code, "limits.artifact_mib" in str(error))
`,
		cronium.EventNode: `
const cronium = require("cronium");
const fs = require("fs");
(async () => {
  fs.writeFileSync("a.txt", "line of a report\n".repeat(80_000));
  await cronium.saveArtifact("a.txt");
  fs.appendFileSync("a.txt", "more");
  console.log((await cronium.saveArtifact("a.txt")).sha256);
  fs.writeFileSync("large", "");
  fs.truncateSync("large", 63 << 20);
  await cronium.saveArtifact("large").catch((e) => console.log(e.statusCode, e.message.includes("limits.artifact_mib") ? "True" : e));
})();
`,
		cronium.EventBash: `
source cronium.sh
yes 'line of a report' | head -n 80000 >a.txt
cronium_save_artifact a.txt >/dev/null
printf more >>a.txt
cat a.txt | cronium_save_artifact - a.txt | sed 's/.*"sha256":"\([0-9a-f]*\)".*/\1/'
truncate -s 63M large
cronium_save_artifact large 2>&1 | grep -q limits.artifact_mib.*422 && echo 422 True
`,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			want := strings.Repeat("line of a report\n", 80_000) + "more"
			sum := sha256.Sum256([]byte(want))
			event := s.newEvent(kind, script)
			job := s.run(engine, event)
			row, printed := s.final(job)
			if row.Result != cronium.ResultSuccess || printed != hex.EncodeToString(sum[:])+"\n422 True\n" {
				t.Fatalf("it ended with %s and printed %q", row.Result, printed)
			}
			list, err := s.Store.Artifacts(t.Context(), s.workspace, job)
			if err != nil || len(list) != 1 || list[0].Name != "a.txt" {
				t.Fatalf("kept: %+v, %v", list, err)
			}
			r, err := keeper.Open(t.Context(), &list[0], 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != want {
				t.Errorf("read %d bytes, want %d; %v", len(got), len(want), err)
			}
		})
	}
}

func TestWhatIsNoPartOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	data := base64.StdEncoding.EncodeToString([]byte("x"))
	const upload = "0123456789abcdef"
	for _, c := range []struct{ method, params string }{
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"../a","offset":0,"data":%q}`, upload, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a\u0000b","offset":0,"data":%q}`, upload, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a\u202eb","offset":0,"data":%q}`, upload, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"","offset":0,"data":%q}`, upload, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":"short","name":"a","offset":0,"data":%q}`, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":"0123456789abcde/","name":"a","offset":0,"data":%q}`, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a","offset":-1,"data":%q}`, upload, data)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a","offset":0,"data":""}`, upload)},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a","offset":0,"data":%q}`, upload, base64.StdEncoding.EncodeToString(make([]byte, partBytes+1)))},
		{"artifact.part", fmt.Sprintf(`{"upload":%q,"name":"a","offset":0,"data":"?"}`, upload)},
		{"artifact.end", fmt.Sprintf(`{"upload":%q,"name":"a","size":0,"sha256":"00"}`, upload)},
		{"artifact.end", fmt.Sprintf(`{"upload":%q,"name":"a","size":0,"sha256":%q}`, upload, strings.Repeat("z", 64))},
	} {
		if _, err := s.Call(t.Context(), s.of, c.method, json.RawMessage(c.params)); cronium.CodeOf(err) != cronium.CodeInvalid {
			t.Errorf("%s %.80s: %v", c.method, c.params, err)
		}
	}
	var rows int
	if err := s.Store.WorkerPool().QueryRow(t.Context(), `SELECT count(*) FROM artifacts`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are there, %v", rows, err)
	}
}
