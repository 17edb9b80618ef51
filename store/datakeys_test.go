package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
)

// vault is a fixture with a master key, and a count of writes after which the
// database "breaks".
type vault struct {
	*fixture
	dir    string
	master *secrets.Master
	box    *secrets.Box
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{fixture: newFixture(t), dir: t.TempDir()}
	v.load(t)
	if _, err := v.InitMasterKey(v.ctx, v.master.Newest()); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vault) load(t *testing.T) {
	t.Helper()
	master, err := secrets.LoadMaster(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	v.master, v.box = master, secrets.NewBox(v.Store, master)
}

func (v *vault) save(t *testing.T, password string) *cronium.Credential {
	t.Helper()
	c := &cronium.Credential{ID: cronium.NewID(), WorkspaceID: v.workspace, Kind: cronium.CredentialPassword}
	var err error
	if c.DataKey, c.Sealed, err = v.box.Seal(v.ctx, v.workspace, secrets.PurposeCredential, c.ID, []byte(password)); err != nil {
		t.Fatal(err)
	}
	if err := v.SaveCredential(v.ctx, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantAll checks that each credential opens with what was saved, in a server
// that has had its keys since before.
func (v *vault) wantAll(t *testing.T, saved map[cronium.ID]string) {
	t.Helper()
	for id, want := range saved {
		c, err := v.Credential(v.ctx, v.workspace, id)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := v.box.Open(v.ctx, v.workspace, secrets.PurposeCredential, id, c.DataKey, c.Sealed)
		if err != nil || string(plain) != want {
			t.Fatalf("%q, %v, want %q", plain, err, want)
		}
	}
}

// errKilled ends a rotation as a kill would.
var errKilled = errors.New("killed")

// mortal is a store whose process dies at the n-th step of a rotation.
type mortal struct {
	*Store
	left int
}

func (m *mortal) step() error {
	if m.left--; m.left < 0 {
		return errKilled
	}
	return nil
}

func (m *mortal) AddDataKey(ctx context.Context, k secrets.DataKey) (bool, error) {
	if err := m.step(); err != nil {
		return false, err
	}
	return m.Store.AddDataKey(ctx, k)
}

func (m *mortal) Reseal(ctx context.Context, old secrets.Sealed, key int, data []byte) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.Reseal(ctx, old, key, data)
}

func (m *mortal) DropDataKeys(ctx context.Context) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.DropDataKeys(ctx)
}

func (m *mortal) SetMasterKey(ctx context.Context, f string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.SetMasterKey(ctx, f)
}

func (m *mortal) Rewrap(ctx context.Context, old, rewrapped secrets.DataKey) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.Rewrap(ctx, old, rewrapped)
}

func TestARotationOfDataKeysIsTakenUpWhereverItWasKilled(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	saved := map[cronium.ID]string{}
	for i := range 5 {
		password := fmt.Sprintf("pass %d", i)
		saved[v.save(t, password).ID] = password
	}
	v.exec(t, `INSERT INTO terminals (id, workspace_id, target, user_id, user_name) VALUES ($1, $1, '', $1, '')`, v.workspace)
	key, sealed, err := v.box.Seal(v.ctx, v.workspace, secrets.PurposeTerminal(7), v.workspace, []byte("ls"))
	if err != nil {
		t.Fatal(err)
	}
	v.exec(t, `INSERT INTO terminal_parts (terminal_id, workspace_id, number, data_key, sealed) VALUES ($1, $1, 7, $2, $3)`, v.workspace, key, sealed)
	kills := 0
	for ; ; kills++ {
		r := secrets.NewRotation(&mortal{v.Store, kills}, v.master, t.Logf)
		err := r.DataKeys(v.ctx)
		v.wantAll(t, saved)
		password := fmt.Sprintf("meanwhile %d", kills)
		saved[v.save(t, password).ID] = password
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	if kills < 3 {
		t.Fatalf("it was killed %d times only", kills)
	}
	var versions, newest int
	if err := v.worker.QueryRow(v.ctx, `SELECT count(*), max(version) FROM data_keys`).Scan(&versions, &newest); err != nil || versions != 1 || newest != 2 {
		t.Errorf("%d data keys, the newest is %d: %v", versions, newest, err)
	}
	if err := v.worker.QueryRow(v.ctx, `SELECT data_key, sealed FROM terminal_parts`).Scan(&key, &sealed); err != nil {
		t.Fatal(err)
	}
	plain, err := v.box.Open(v.ctx, v.workspace, secrets.PurposeTerminal(7), v.workspace, key, sealed)
	if err != nil || string(plain) != "ls" || key != 2 {
		t.Errorf("recording: %q with key %d, %v", plain, key, err)
	}
	v.wantAll(t, saved)
}

func TestARotationOfTheMasterKeyIsTakenUpWhereverItWasKilled(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	saved := map[cronium.ID]string{v.save(t, "one").ID: "one"}
	for i := range 4 { // other workspaces
		w := cronium.NewID()
		v.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, $2, 'w')`, w, fmt.Sprintf("other-%d", i))
		if _, _, err := v.box.Seal(v.ctx, w, "x", w, nil); err != nil {
			t.Fatal(err)
		}
	}
	before := v.master.Newest()
	kills := 0
	for ; ; kills++ {
		tool, err := secrets.LoadMaster(v.dir)
		if err != nil {
			t.Fatal(err)
		}
		err = secrets.NewRotation(&mortal{v.Store, kills}, tool, t.Logf).Master(v.ctx)
		v.wantAll(t, saved)
		w := cronium.NewID() // a new workspace gets a data key meanwhile
		v.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, $2, 'w')`, w, fmt.Sprintf("new-%d", kills))
		if _, _, err := v.box.Seal(v.ctx, w, "x", w, nil); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	if kills < 3 {
		t.Fatalf("it was killed %d times only", kills)
	}
	v.load(t) // a restarted server
	if v.master.Newest() == before || v.master.Has(before) {
		t.Error("the old master key is still there")
	}
	v.wantAll(t, saved)
	left, err := v.WrappedByOthers(v.ctx, v.master.Newest(), 10)
	if err != nil || len(left) != 0 {
		t.Errorf("%d data keys are wrapped by the old master key, %v", len(left), err)
	}
}

func TestADataKeyThatSealsSomethingCannotGo(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	c := v.save(t, "one")
	if err := secrets.NewRotation(v.Store, v.master, t.Logf).DataKeys(v.ctx); err != nil {
		t.Fatal(err)
	}
	// What was sealed with the key that is gone meanwhile is not stored.
	wantCode(t, v.SaveCredential(v.ctx, c), cronium.CodeConflict)
	if _, err := v.worker.Exec(v.ctx, `DELETE FROM data_keys`); !foreignKeyBroken(err) {
		t.Errorf("a data key in use was removed: %v", err)
	}
}

func TestOneRotationAtATime(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	err := v.AloneRotating(v.ctx, func(ctx context.Context) error {
		return v.AloneRotating(ctx, func(context.Context) error { return errors.New("two") })
	})
	wantCode(t, err, cronium.CodeConflict)
	if err := v.AloneRotating(v.ctx, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestACredentialOpensInItsRowAlone(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	a, b := v.save(t, "of a"), v.save(t, "of b")
	if _, err := v.box.Open(v.ctx, v.workspace, secrets.PurposeCredential, a.ID, b.DataKey, b.Sealed); err == nil {
		t.Error("b's password opened in a's row")
	}
	if _, err := v.Credential(v.ctx, cronium.NewID(), a.ID); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("another workspace's credential: %v", err)
	}
	taken := *a
	taken.WorkspaceID = cronium.NewID()
	if err := v.SaveCredential(v.ctx, &taken); err == nil {
		t.Error("another workspace replaced the credential")
	}
}

func TestWithoutItsMasterKeyNothingOpens(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	c := v.save(t, "one")
	if err := os.Remove(filepath.Join(v.dir, secrets.MasterFile)); err != nil {
		t.Fatal(err)
	}
	v.load(t) // makes another
	_, err := v.box.Open(v.ctx, v.workspace, secrets.PurposeCredential, c.ID, c.DataKey, c.Sealed)
	wantCode(t, err, cronium.CodeUnavailable)
	_, _, err = v.box.Seal(v.ctx, v.workspace, secrets.PurposeCredential, c.ID, nil)
	wantCode(t, err, cronium.CodeUnavailable)
	if err := pgx.BeginFunc(v.ctx, v.pool, func(tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(v.ctx, `SELECT count(*) FROM credentials`).Scan(&n); err != nil || n != 0 {
			return fmt.Errorf("%d credentials are seen without a workspace: %v", n, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
