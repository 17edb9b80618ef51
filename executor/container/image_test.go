package container

import (
	"strings"
	"testing"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor/conformance"
)

func TestAnyImageWorksAndALackingInterpreterIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := specOf(cronium.NetworkNone)
	spec.Image = emptyImage(t, b.Backend)
	r := b.target(spec).Execute(t, conformance.Python("print(1)"))
	r.Ended(t, proto.Outcome_OUTCOME_NOT_STARTED)
	if !strings.Contains(r.Finish.GetMessage(), "python3") {
		t.Errorf("the message is %q and does not name the interpreter", r.Finish.GetMessage())
	}
}

func TestFoldersThatAnImageDeclaresAsVolumesAreBoundedMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := specOf(cronium.NetworkNone)
	spec.Image = imageWith(t, b.Backend, "VOLUME /var/tmp /work /opt/data")
	r := b.target(spec).Execute(t, conformance.Bash(`
		for d in /var/tmp /opt/data; do
			stat -f -c %T $d
			head -c 100M /dev/zero >$d/fill && echo took all
		done 2>/dev/null
		touch /work/x`))
	r.Exited(t, 0)
	if got := r.Sink.Stdout(); got != "tmpfs\ntmpfs\n" {
		t.Errorf("stdout is %q", got)
	}
}

func TestAReplacedImageIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	name := "cronium-test-moving:" + cronium.NewID().String()
	b := newBench(t, func(c *Config) { c.PoolSize, c.Image = 1, name })
	old, replacement := runtimeImage, emptyImage(t, b.Backend)
	tag(t, b.Backend, old, name)
	removeImage(t, b.Backend, name)
	b.run(t)
	warmOf := func(image string) func() bool {
		info, err := b.engine.image(t.Context(), image)
		if err != nil {
			t.Fatal(err)
		}
		return func() bool {
			b.pool.mu.Lock()
			defer b.pool.mu.Unlock()
			for _, all := range b.pool.idle {
				for _, p := range all {
					return p.image == info.id
				}
			}
			return false
		}
	}
	eventually(t, "a container of the first image is warm", warmOf(old))
	tag(t, b.Backend, replacement, name)
	eventually(t, "one of the second is warm", warmOf(replacement))
}
