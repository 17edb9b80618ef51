package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cronium.dev/cronium"
)

// brief is a host in one line: name user@address:port env tags jumps.
func brief(h Host) string {
	var tags []string
	for _, key := range slices.Sorted(maps.Keys(h.Tags)) {
		tags = append(tags, strings.TrimSuffix(key+"="+h.Tags[key], "="))
	}
	return fmt.Sprintf("%s %s@%s:%d env=%s %v %v", h.Name, h.User, h.Address, h.Port, h.Environment, tags, h.Jumps)
}

func briefs(p *Plan) (lines []string) {
	for _, h := range p.Hosts {
		lines = append(lines, brief(h))
	}
	return lines
}

const sshText = `
# mine
User common
Include ~/.ssh/more
Host web-1 web-2 *.lab
  HostName %h.example.com
  User deploy
  IdentityFile ~/.ssh/id_ed25519

Host db !db-old
	HostName=10.0.0.7
	Port = 2222
	ProxyJump admin@bastion.example.com:2200,web-1
Host "old box"
	ProxyCommand nc -X 5 %h %p
Match exec "test -f /tmp/x"
	User attacker
Host *
	Port 22022
	HostName ignored
nonsense
`

func TestSSHConfigurations(t *testing.T) {
	t.Parallel()
	plan, err := SSHConfig(sshText)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"web-1 common@web-1.example.com:22022 env= [] []",
		"web-2 common@web-2.example.com:22022 env= [] []",
		"db common@10.0.0.7:2222 env= [] [bastion.example.com web-1]",
		"old-box common@ignored:22022 env= [] []",
		"bastion.example.com admin@bastion.example.com:2200 env= [] []",
	}
	if diff := cmp.Diff(want, briefs(plan)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(fmt.Sprint(plan.Hosts[0].Notes), "id_ed25519") || !strings.Contains(fmt.Sprint(plan.Hosts[3].Problems), "ProxyCommand") || len(plan.Hosts[3].Notes) == 0 {
		t.Errorf("%+v", plan.Hosts)
	}
	var lines []int
	for _, n := range plan.Ignored {
		lines = append(lines, n.Line)
	}
	if fmt.Sprint(lines) != "[4 16 21]" {
		t.Errorf("ignored: %+v", plan.Ignored)
	}
}

const iniText = `
lone.example.com:2022 ansible_user=root
; comment
[web]
web[01:03] rack="r 12" db_password=hunter2
web-x ansible_host=10.0.0.9 ansible_ssh_common_args='-o ProxyJump=edge' # note
win ansible_connection=winrm

[db]
db-[a:b]:2200

[web:vars]
ansible_user=deploy
ansible_password=hunter2

[prod:children]
web
db
[prod:vars]
ansible_user=shadowed
ansible_port="{{ port }}"
[odd:thing]
x
`

func TestAnsibleInventoriesAsINI(t *testing.T) {
	t.Parallel()
	plan, err := Ansible(iniText)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lone.example.com root@lone.example.com:2022 env= [] []",
		"web01 deploy@web01:0 env=prod [prod rack=r 12 web] []",
		"web02 deploy@web02:0 env=prod [prod rack=r 12 web] []",
		"web03 deploy@web03:0 env=prod [prod rack=r 12 web] []",
		"web-x deploy@10.0.0.9:0 env=prod [prod web] [edge]",
		"win deploy@win:0 env=prod [prod web] []",
		"db-a shadowed@db-a:2200 env=prod [db prod] []",
		"db-b shadowed@db-b:2200 env=prod [db prod] []",
		"edge @edge:0 env= [] []",
	}
	if diff := cmp.Diff(want, briefs(plan)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(fmt.Sprintf("%+v", plan), "hunter2") {
		t.Error("a password is in the plan")
	}
	if text := fmt.Sprint(plan.Hosts[1].Notes); !strings.Contains(text, "ansible_password") || !strings.Contains(text, "template") {
		t.Errorf("web01 does not say what was left out: %s", text)
	}
	if !strings.Contains(fmt.Sprint(plan.Hosts[5].Problems), "winrm") {
		t.Errorf("%+v", plan.Hosts[5])
	}
	if len(plan.Ignored) != 1 {
		t.Errorf("%+v", plan.Ignored)
	}
}

const yamlText = `---
all:
  vars:
    ansible_user: root
  hosts:
    lone:
      ansible_host: 10.1.1.1
      token: hunter2
  children:
    web:
      hosts:
        web[1:2]:
          ansible_port: 2222
          rack: 12
          list: [a, b]
      vars: {ansible_user: deploy, environment: live}
    staging:
      children:
        web:
      strange: 1
`

func TestAnsibleInventoriesAsYAML(t *testing.T) {
	t.Parallel()
	plan, err := Ansible(yamlText)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lone root@10.1.1.1:0 env= [] []",
		"web1 deploy@web1:2222 env=live [rack=12 staging web] []",
		"web2 deploy@web2:2222 env=live [rack=12 staging web] []",
	}
	if diff := cmp.Diff(want, briefs(plan)); diff != "" {
		t.Error(diff)
	}
	if len(plan.Ignored) != 1 || plan.Ignored[0].Line != 20 {
		t.Errorf("%+v", plan.Ignored)
	}
	if strings.Contains(fmt.Sprintf("%+v", plan), "hunter2") {
		t.Error("a token is in the plan")
	}
}

func TestWhatIsNoInventorySaysSo(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"broken YAML": "---\nall: [", "too large": strings.Repeat("a\n", MaxText), "binary": "a\x00b", "too many hosts": "[a]\nw[1:1500]\nx[1:1500]\n",
		"hosts multiplied":     strings.Repeat("w[1:2000]\n", 90_000),
		"variables multiplied": "[a]\nw[1:2000] " + strings.Repeat("x=1 ", 200_000),
		"groups multiplied":    manyGroups(),
	} {
		if _, err := Ansible(text); cronium.CodeOf(err) != cronium.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "# nothing", "---", "w[1:99999999]", "w[9:1]", "---\nall: &x\n  children:\n    b: *x\n"} {
		plan, err := Ansible(text)
		if err != nil || len(plan.Hosts) != 0 {
			t.Errorf("%q: %+v, %v", text, plan, err)
		}
	}
}

// manyGroups is a host in a chain of groups, each with variables.
func manyGroups() string {
	var text strings.Builder
	text.WriteString("[g0]\nw[1:2000]\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "[g%d:children]\ng%d\n[g%d:vars]\na=1\n", i+1, i, i)
	}
	return text.String()
}

func TestPasswordsAreTakenOutOfWhatIsShownAgain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a ansible_password=hunter2 rack=1", "a ansible_ssh_pass='hunter2 hunter2'", "  vault_token: hunter2 # x", `"db-secret": "hunter2"`, "ansible_become_pass = hunter2",
	} {
		if got := Redacted(text); strings.Contains(got, "hunter2") {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := Redacted(sshText); got != sshText {
		t.Errorf("a text without passwords was changed: %s", cmp.Diff(sshText, got))
	}
}

func FuzzSSHConfig(f *testing.F) {
	f.Add(sshText)
	f.Fuzz(func(t *testing.T, text string) { holds(t, text, SSHConfig) })
}

func FuzzAnsible(f *testing.F) {
	f.Add(iniText)
	f.Add(yamlText)
	f.Fuzz(func(t *testing.T, text string) { holds(t, text, Ansible) })
}

// holds checks what is so of any text.
func holds(t *testing.T, text string, read func(string) (*Plan, error)) {
	plan, err := read(text)
	if err != nil {
		if cronium.CodeOf(err) != cronium.CodeInvalid {
			t.Error(err)
		}
		return
	}
	for _, h := range plan.Hosts {
		if h.Line < 1 || h.Line > strings.Count(text, "\n")+1 {
			t.Errorf("host %q is on line %d", h.Name, h.Line)
		}
	}
}
