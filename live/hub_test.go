package live_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/live"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const patience = 20 * time.Second

func openPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// startHub starts a hub on the database and returns once it listens.
func startHub(t *testing.T, url string) *live.Hub {
	t.Helper()
	h := live.New(openPool(t, url), slog.New(slog.DiscardHandler))
	s := h.Subscribe("listening")
	defer s.Close()
	h.Start(t.Context())
	t.Cleanup(h.Stop)
	wait(t, s)
	return h
}

func wait(t *testing.T, s *live.Subscription) []live.Topic {
	t.Helper()
	select {
	case <-s.C():
		return s.Take()
	case <-time.After(patience):
		t.Fatal("was not woken")
		return nil
	}
}

func TestPublishWakesItsOwnProcessWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	h := live.New(pool, slog.New(slog.DiscardHandler))
	s := h.Subscribe("a", "b")
	defer s.Close()
	h.Publish("a", "c")
	if got := wait(t, s); !slices.Equal(got, []live.Topic{"a"}) {
		t.Errorf("woken for %v, want a alone", got)
	}
}

func TestPublishWakesOtherProcessesAndNotItselfTwice(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	one, two := startHub(t, url), startHub(t, url)
	here, there := one.Subscribe("job:1"), two.Subscribe("job:1", "job:2")
	defer here.Close()
	defer there.Close()
	one.Publish("job:1")
	wait(t, here)
	if got := wait(t, there); !slices.Equal(got, []live.Topic{"job:1"}) {
		t.Errorf("the other process was woken for %v", got)
	}
	// What two sends now arrives at one after one's own notification would have.
	after := one.Subscribe("job:2")
	defer after.Close()
	two.Publish("job:2")
	wait(t, after)
	select {
	case <-here.C():
		t.Error("woken a second time by its own notification")
	default:
	}
}

func TestManyTopicsNeedSeveralNotificationsAndAllArrive(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	one, two := startHub(t, url), startHub(t, url)
	var topics []live.Topic
	for range 1000 {
		topics = append(topics, live.JobTopic(cronium.NewID()))
	}
	s := two.Subscribe(topics...)
	defer s.Close()
	one.Publish(topics...)
	seen := map[live.Topic]bool{}
	for len(seen) < len(topics) {
		for _, topic := range wait(t, s) {
			seen[topic] = true
		}
	}
}

func TestABurstIsHeldOnceATopic(t *testing.T) {
	t.Parallel()
	h := startHub(t, testenv.EmptyDatabase(t))
	s := h.Subscribe("a", "b")
	defer s.Close()
	for range 10_000 {
		h.Publish("a", "b")
	}
	got := wait(t, s)
	slices.Sort(got)
	if !slices.Equal(got, []live.Topic{"a", "b"}) {
		t.Errorf("took %v, want a and b once each", got)
	}
	if again := s.Take(); len(again) != 0 {
		t.Errorf("took %v again", again)
	}
}

func TestALostConnectionWakesEveryoneWhenItIsBack(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	one, two := startHub(t, url), startHub(t, url)
	quiet := two.Subscribe("quiet")
	defer quiet.Close()
	admin := openPool(t, url)
	if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	// Nobody published "quiet", but a notification for it may have been missed.
	wait(t, quiet)
	s := two.Subscribe("after")
	defer s.Close()
	one.Publish("after")
	wait(t, s)
}

func TestStopEndsEveryGoroutineAndSendsWhatIsGathered(t *testing.T) {
	url := testenv.EmptyDatabase(t)
	other := startHub(t, url)
	s := other.Subscribe("last")
	defer s.Close()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	before := goleak.IgnoreCurrent()
	h := live.New(pool, slog.New(slog.DiscardHandler))
	h.Start(context.Background())
	h.Start(context.Background())
	h.Publish("last")
	h.Stop()
	h.Stop()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"),
		goleak.IgnoreAnyFunction("github.com/jackc/puddle/v2.(*Pool[...]).initResourceValue.func1"))
	wait(t, s)
}

func TestSubscribingAndPublishingAtOnceIsSafe(t *testing.T) {
	t.Parallel()
	h := startHub(t, testenv.EmptyDatabase(t))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			topic := live.Topic(fmt.Sprint("t", i%3))
			for range 200 {
				s := h.Subscribe(topic)
				h.Publish(topic)
				wait(t, s)
				s.Close()
				s.Close()
			}
		})
	}
	group.Wait()
}
