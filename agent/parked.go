package agent

import (
	"container/heap"
	"slices"
	"time"
)

// parkedKey holds back the tasks of a key whose first one failed.
type parkedKey struct {
	key   string
	tasks []*task // in order of arrival
	at    time.Time
	index int // in the heap; -1 while its first task runs
}

// hold parks a failed task at the front of its key until it is due.
func (w *worker) hold(t *task) {
	pk := w.parked[t.key]
	if pk == nil {
		pk = &parkedKey{key: t.key, index: -1}
		w.parked[t.key] = pk
	}
	pk.insert(t)
	pk.at = pk.tasks[0].due
	if pk.index < 0 {
		heap.Push(&w.due, pk)
	} else {
		heap.Fix(&w.due, pk.index)
	}
}

// insert puts t in its place by arrival.
func (pk *parkedKey) insert(t *task) {
	i, _ := slices.BinarySearchFunc(pk.tasks, t, byArrival)
	pk.tasks = slices.Insert(pk.tasks, i, t)
}

// release lets the next task of a parked key run, or the key go.
func (w *worker) release(key string) {
	pk := w.parked[key]
	if pk == nil || pk.index >= 0 {
		return
	}
	if len(pk.tasks) == 0 {
		delete(w.parked, key)
		return
	}
	pk.at = pk.tasks[0].due
	heap.Push(&w.due, pk)
}

// dueHeap orders parked keys by when their first task is due.
type dueHeap []*parkedKey

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	pk := x.(*parkedKey)
	pk.index = len(*h)
	*h = append(*h, pk)
}

func (h *dueHeap) Pop() any {
	old := *h
	pk := old[len(old)-1]
	pk.index = -1
	*h = old[:len(old)-1]
	return pk
}
