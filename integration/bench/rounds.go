//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// largeParallel are the numbers of concurrent transfers of large bodies.
var largeParallel = []int{1, 8}

var methods = []string{"GET", "PUT"}

// measureRounds measures every peer once in each round, in random order. It records
// peers that fail and returns only the error of ctx.
func measureRounds(ctx context.Context, b *testbed, s *settings, peers []peer, r *recorder, progress io.Writer) error {
	order := slices.Clone(peers)
	for round := range s.rounds {
		for _, t := range s.transports {
			rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, p := range order {
				fmt.Fprintf(progress, "round %d of %d, %s: %s\n", round+1, s.rounds, t, p.name)
				measurePeer(ctx, b, s, p, t, r)
				if err := ctx.Err(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measurePeer measures all cells of one peer over one transport. Each kind has its own
// process, so that memory does not include an earlier load.
func measurePeer(ctx context.Context, b *testbed, s *settings, p peer, t transport, r *recorder) {
	if s.measures("start") {
		record(r, cell{kind: "start", transport: t}, p, func() (sample, error) { return measureStart(ctx, b, s, p, t) })
	}
	for _, todo := range [][]cell{smallCells(s, t), largeCells(s, t)} {
		if todo = cellsOf(p, todo); len(todo) > 0 {
			measureCells(ctx, b, s, p, todo, r)
		}
	}
}

// cellsOf returns the cells that the peer supports.
func cellsOf(p peer, all []cell) []cell {
	return slices.DeleteFunc(all, func(c cell) bool { return c.s3 && !slices.Contains(s3Peers, p.name) })
}

func measureCells(ctx context.Context, b *testbed, s *settings, p peer, todo []cell, r *recorder) {
	proc, err := p.start(ctx, b, todo[0].transport)
	if err != nil {
		r.fail(todo[0], p.name, err)
		return
	}
	defer proc.stop()
	for _, c := range todo {
		record(r, c, p, func() (sample, error) { return measureCell(ctx, b, s, proc, c) })
	}
}

func measureCell(ctx context.Context, b *testbed, s *settings, p *process, c cell) (sample, error) {
	if c.kind == "small" {
		return measureSmall(b, s, p, c)
	}
	return measureLarge(ctx, b, s, p, c)
}

func record(r *recorder, c cell, p peer, measure func() (sample, error)) {
	v, err := measure()
	if err != nil {
		r.fail(c, p.name, err)
		return
	}
	r.add(c, p.name, v)
}

// smallCells returns the small cells of a transport that the settings include.
func smallCells(s *settings, t transport) []cell { return cells(s, "small", t, s.connections) }

// largeCells returns the large cells of a transport that the settings include.
func largeCells(s *settings, t transport) []cell { return cells(s, "large", t, largeParallel) }

// cells returns cells of a kind that the settings include. The same requests in the two
// dialects follow each other, in random order.
func cells(s *settings, kind string, t transport, parallel []int) []cell {
	var found []cell
	for _, m := range methods {
		for _, n := range parallel {
			first := rand.N(2) == 1
			for _, s3 := range []bool{first, !first} {
				if c := (cell{kind, t, m, n, s3}); s.includes(c) {
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// measureSmall loads the connections to warm them up, and then for the duration of the
// settings.
func measureSmall(b *testbed, s *settings, p *process, c cell) (sample, error) {
	request := smallRequest(c.method, p.addr, b.pattern[:smallSize])
	if c.s3 {
		request = smallS3Request(p.addr)
	}
	load, err := newSmallLoad(p.addr, c.parallel, request)
	if err != nil {
		return sample{}, err
	}
	defer load.close()
	if _, err := load.drive(s.duration / 5); err != nil {
		return sample{}, err
	}
	return measureLoad(p, func() (n, bytes int64, err error) {
		n, err = load.drive(s.duration)
		return n, n * smallSize, err
	})
}

func measureLarge(ctx context.Context, b *testbed, s *settings, p *process, c cell) (sample, error) {
	request := largeRequest(b, c.method, p.addr, s.size)
	if c.s3 {
		request = largeS3Request(b, p.addr, s.size)
	}
	return measureLoad(p, func() (n, bytes int64, err error) {
		n = int64(c.parallel)
		return n, n * s.size, largeLoad(ctx, p.addr, c.parallel, request)
	})
}

// measureLoad reads the CPU time and memory of the process around load, which returns
// the number of requests and of body bytes.
func measureLoad(p *process, load func() (n, bytes int64, err error)) (sample, error) {
	pids := p.pids()
	resetPeak(pids)
	cpu, start := cpuTime(pids), time.Now()
	n, bytes, err := load()
	return sample{
		requests: n, bytes: bytes,
		elapsed: time.Since(start), cpu: cpuTime(pids) - cpu,
		peak: memory(pids, "VmHWM"),
	}, err
}
