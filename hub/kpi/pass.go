package kpi

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// passBlock is how many parts a worker of a pass takes at a time: enough to make taking them cheap, few enough to
// share out the work evenly.
const passBlock = 64

// workersFor returns how many workers a pass over so many things needs.
func workersFor(things, block int) int {
	return max(1, min(runtime.GOMAXPROCS(0), (things+block-1)/block))
}

// inParallel hands out the numbers below n in blocks to workers, who are numbered too, and returns when all are done.
// Which worker gets what differs from run to run, so what they make must not hang on it.
func inParallel(n, workers, block int, work func(worker, from, to int)) {
	if workers <= 1 {
		work(0, 0, n)
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for {
				to := int(next.Add(int64(block)))
				if to-block >= n {
					return
				}
				work(worker, to-block, min(to, n))
			}
		})
	}
	all.Wait()
}
