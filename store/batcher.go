package store

import (
	"context"
	"sync"
)

// batcher gathers requests that come while a statement is under way into the
// next one ("group commit"): a single request waits for nothing, a crowd shares
// one commit.
type batcher[Q, A any] struct {
	run   func(context.Context, []Q) ([]A, error)
	max   int
	queue chan batched[Q, A]
	stop  context.CancelFunc
	done  sync.WaitGroup
}

type batched[Q, A any] struct {
	question Q
	answer   chan<- answered[A]
}

type answered[A any] struct {
	value A
	err   error
}

// newBatcher starts a batcher whose run gets at most max questions and returns
// as many answers in their order. As many statements run at once as there are
// workers.
func newBatcher[Q, A any](max, workers int, run func(context.Context, []Q) ([]A, error)) *batcher[Q, A] {
	ctx, stop := context.WithCancel(context.Background())
	b := &batcher[Q, A]{run: run, max: max, queue: make(chan batched[Q, A], max), stop: stop}
	for range workers {
		b.done.Go(func() { b.work(ctx) })
	}
	return b
}

// do asks one question. When ctx ends first, the question may still be carried
// out; the caller does not learn its answer.
func (b *batcher[Q, A]) do(ctx context.Context, question Q) (A, error) {
	answer := make(chan answered[A], 1)
	var none A
	select {
	case b.queue <- batched[Q, A]{question, answer}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select {
	case a := <-answer:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (b *batcher[Q, A]) close() {
	b.stop()
	b.done.Wait()
}

func (b *batcher[Q, A]) work(ctx context.Context) {
	for {
		var batch []batched[Q, A]
		select {
		case <-ctx.Done():
			return
		case first := <-b.queue:
			batch = append(batch, first)
		}
	gather:
		for len(batch) < b.max {
			select {
			case next := <-b.queue:
				batch = append(batch, next)
			default:
				break gather
			}
		}
		b.answer(ctx, batch)
	}
}

// answer runs one batch. When it fails, each question is asked alone, so that
// one bad row does not fail its neighbours.
func (b *batcher[Q, A]) answer(ctx context.Context, batch []batched[Q, A]) {
	questions := make([]Q, len(batch))
	for i := range batch {
		questions[i] = batch[i].question
	}
	answers, err := b.run(ctx, questions)
	if err == nil {
		for i := range batch {
			batch[i].answer <- answered[A]{value: answers[i]}
		}
		return
	}
	if len(batch) == 1 {
		batch[0].answer <- answered[A]{err: err}
		return
	}
	for i := range batch {
		b.answer(ctx, batch[i:i+1])
	}
}
