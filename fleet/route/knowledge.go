package route

import (
	"container/list"
	"slices"
)

// holdersOfBlock is how many workers are remembered for one block: those that got it
// last.
const holdersOfBlock = 4

// knowledge is which prefixes were sent to which workers: the blocks that were used
// last, in bounded memory.
type knowledge struct {
	most   int
	blocks map[Key]*list.Element
	recent *list.List // of *block, the last used first
}

type block struct {
	key     Key
	holders [holdersOfBlock]int64 // serials of workers, the newest first; 0 for none
}

// holder is a worker and how many blocks of a prefix it holds.
type holder struct {
	serial int64
	blocks int
}

func newKnowledge(most int) *knowledge {
	return &knowledge{most: most, blocks: map[Key]*list.Element{}, recent: list.New()}
}

// learn remembers all blocks of a prefix for a worker.
func (k *knowledge) learn(prefix []Key, serial int64) {
	prefix = prefix[:min(len(prefix), MaxBlocks, k.most)]
	for _, key := range slices.Backward(prefix) { // the first block is the last to be forgotten
		if e, ok := k.blocks[key]; ok {
			k.recent.MoveToFront(e)
			e.Value.(*block).add(serial)
			continue
		}
		if k.recent.Len() >= k.most {
			oldest := k.recent.Back()
			delete(k.blocks, oldest.Value.(*block).key)
			k.recent.Remove(oldest)
		}
		b := &block{key: key}
		b.add(serial)
		k.blocks[key] = k.recent.PushFront(b)
	}
}

// add puts a worker in front.
func (b *block) add(serial int64) {
	last := serial
	for i, s := range b.holders {
		b.holders[i] = last
		if s == serial {
			return
		}
		last = s
	}
}

// longest appends the workers that hold most of the prefix, the longest first.
func (k *knowledge) longest(prefix []Key, to []holder) []holder {
	prefix = prefix[:min(len(prefix), MaxBlocks)]
	for i := len(prefix) - 1; i >= 0 && len(to) < holdersOfBlock; i-- {
		e, ok := k.blocks[prefix[i]]
		if !ok {
			continue
		}
	holders:
		for _, s := range e.Value.(*block).holders {
			if s == 0 {
				break
			}
			for _, h := range to {
				if h.serial == s {
					continue holders
				}
			}
			to = append(to, holder{serial: s, blocks: i + 1})
		}
	}
	return to
}
