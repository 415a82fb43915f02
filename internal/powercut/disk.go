package powercut

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// sector is how many bytes reach the disk as a whole or not at all: a block of
// ext4, whose superblock does not survive being torn.
const sector = 4096

// Disk is a disk with a cache that loses its contents with the power. It serves
// one machine after the other over the NBD protocol, from an image file.
//
// The image has what the machine wrote last, whether flushed or not; before a
// sector that was not written since the last flush is overwritten, what it held
// is kept aside. Cutting the power brings some of these back: any of the sectors
// that were not flushed may be lost, and others behind them kept.
type Disk struct {
	f    *os.File
	size int64

	mu    sync.Mutex
	old   map[int64][]byte // by offset: what the disk holds if the cache is lost
	dead  bool             // the power is off: nothing is written any more
	fuse  int              // writes until the power goes; 0 if it stays
	loss  float64          // see CutAt
	blown chan struct{}    // closed when the power has gone
	stats DiskStats
}

// DiskStats are totals of a Disk.
type DiskStats struct {
	Flushes int
	Written int64 // bytes
	Lost    int   // sectors that cuts brought back to what they had been
}

// OpenDisk uses the image at path.
func OpenDisk(path string) (*Disk, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open disk image: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open disk image: %w", err)
	}
	return &Disk{f: f, size: info.Size(), old: map[int64][]byte{}}, nil
}

// Stats tells what happened so far.
func (d *Disk) Stats() DiskStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Close ends the use of the image.
func (d *Disk) Close() error { return d.f.Close() }

// Serve lets machines use the disk, one after the other, until l is closed.
func (d *Disk) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		// A machine that was cut off ends its connection in the middle.
		_ = serveNBD(c, d)
		c.Close()
	}
}

func (d *Disk) read(b []byte, off int64) error {
	_, err := d.f.ReadAt(b, off)
	return err
}

func (d *Disk) write(b []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return os.ErrClosed
	}
	for at := off &^ (sector - 1); at < off+int64(len(b)); at += sector {
		if _, kept := d.old[at]; kept {
			continue
		}
		held := make([]byte, sector)
		if _, err := d.f.ReadAt(held, at); err != nil {
			return err
		}
		d.old[at] = held
	}
	d.stats.Written += int64(len(b))
	if _, err := d.f.WriteAt(b, off); err != nil {
		return err
	}
	if d.fuse--; d.fuse != 0 {
		return nil
	}
	return errors.Join(d.cut(), os.ErrClosed)
}

// flush makes everything that was written last.
func (d *Disk) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return os.ErrClosed
	}
	d.stats.Flushes++
	clear(d.old)
	return nil
}

// CutAt takes the power away with the n-th write from now, so that something is
// always in the cache: each sector there is lost with the probability of loss.
// The channel is closed when that has happened; nothing is written behind it
// until PowerOn.
func (d *Disk) CutAt(n int, loss float64) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fuse, d.loss, d.blown = n, loss, make(chan struct{})
	return d.blown
}

// Cut takes the power away now, if it is not gone yet.
func (d *Disk) Cut() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil
	}
	return d.cut()
}

func (d *Disk) cut() error {
	d.dead = true
	close(d.blown)
	for at, held := range d.old {
		if rand.Float64() >= d.loss {
			continue
		}
		d.stats.Lost++
		if _, err := d.f.WriteAt(held, at); err != nil {
			return fmt.Errorf("cut the disk: %w", err)
		}
	}
	clear(d.old)
	return nil
}

// PowerOn lets the disk be written again.
func (d *Disk) PowerOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.fuse = false, 0
}
