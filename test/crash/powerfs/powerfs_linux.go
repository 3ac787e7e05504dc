package powerfs

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// Image is what a disk holds: a folder with files and folders.
type Image struct {
	Files map[string][]byte
	Dirs  map[string]*Image
}

// Supported answers why no file system can be mounted here, nil if it can.
func Supported() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "powerfs-probe-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	m, err := Mount(dir, nil)
	if err != nil {
		return err
	}
	return m.Unmount()
}

// FS is a mounted file system.
type FS struct {
	server *fuse.Server
	root   *folder

	mu     sync.Mutex
	fsyncs int
	calls  int
	fault  *Fault
}

// Fault is an error that the file system answers.
type Fault struct {
	// Errno is what the calls answer: EIO, ENOSPC, EROFS.
	Errno syscall.Errno
	// At is the call that fails first, counted from Inject, from 1 on; only calls
	// that can answer Errno count.
	At int
	// Sticky faults last until Heal, others hit one call.
	Sticky bool
	// Reads lets EIO strike reads only; without it, it strikes all calls but reads.
	Reads bool
}

// Mount serves an image at dir; nil is an empty disk.
func Mount(dir string, image *Image) (*FS, error) {
	f := &FS{}
	f.root = &folder{fs: f}
	second := time.Second
	root := fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: "powerfs", Name: "powerfs", DirectMount: true, DisableXAttrs: true,
		},
		EntryTimeout: &second, AttrTimeout: &second,
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		OnAdd: func(ctx context.Context) { f.root.fill(ctx, image) },
	}
	server, err := fs.Mount(dir, f.root, &root)
	if err != nil {
		return nil, fmt.Errorf("mount powerfs: %w", err)
	}
	f.server = server
	return f, nil
}

// Unmount ends the file system. Processes that use it must have ended.
func (f *FS) Unmount() error {
	var err error
	for range 50 { // a killed process may take a moment to let go
		if err = f.server.Unmount(); err == nil {
			f.server.Wait()
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("unmount powerfs: %w", err)
}

// Fsyncs is how many files and folders were fsynced.
func (f *FS) Fsyncs() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fsyncs
}

// Inject arms a fault.
func (f *FS) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.calls = &fault, 0
}

// Heal ends the fault and reports whether it struck.
func (f *FS) Heal() (struck bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	struck = f.fault != nil && f.calls >= f.fault.At
	f.fault = nil
	return struck
}

// call kinds, for what an errno can come from.
type call int

const (
	reads   call = iota // read
	grows               // write, create, mkdir, truncate
	removes             // unlink, rename, rmdir
	syncs               // fsync
)

// fails counts a call and answers the error it must give. f.mu is held.
func (f *FS) fails(c call) syscall.Errno {
	if f.fault == nil {
		return 0
	}
	switch f.fault.Errno {
	case syscall.EIO:
		if f.fault.Reads != (c == reads) {
			return 0
		}
	case syscall.ENOSPC:
		if c != grows {
			return 0
		}
	case syscall.EROFS:
		if c != grows && c != removes {
			return 0
		}
	}
	f.calls++
	if f.calls == f.fault.At || f.fault.Sticky && f.calls > f.fault.At {
		return f.fault.Errno
	}
	return 0
}

// Cut is the power cut: it answers what the disk holds afterwards. With torn, rng
// decides what of the rest survived as well. The file system goes on as if nothing
// had happened: kill its users first and unmount it next.
func (f *FS) Cut(torn bool, rng *rand.Rand) *Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root.cut(torn, rng)
}

// folder is a directory: its children in the kernel's tree are the volatile names.
type folder struct {
	fs.Inode
	fs      *FS
	durable map[string]fs.InodeEmbedder
}

var (
	_ fs.NodeCreater  = (*folder)(nil)
	_ fs.NodeMkdirer  = (*folder)(nil)
	_ fs.NodeUnlinker = (*folder)(nil)
	_ fs.NodeRmdirer  = (*folder)(nil)
	_ fs.NodeRenamer  = (*folder)(nil)
	_ fs.NodeFsyncer  = (*folder)(nil)
	_ fs.NodeStatfser = (*folder)(nil)
)

func (d *folder) fill(ctx context.Context, image *Image) {
	d.durable = map[string]fs.InodeEmbedder{}
	if image == nil {
		return
	}
	for name, content := range image.Files {
		n := &file{fs: d.fs, volatile: bytes.Clone(content), durable: bytes.Clone(content), dirty: map[int64]bool{}}
		d.AddChild(name, d.NewPersistentInode(ctx, n, fs.StableAttr{Mode: syscall.S_IFREG}), true)
		d.durable[name] = n
	}
	for name, sub := range image.Dirs {
		n := &folder{fs: d.fs}
		d.AddChild(name, d.NewPersistentInode(ctx, n, fs.StableAttr{Mode: syscall.S_IFDIR}), true)
		n.fill(ctx, sub)
		d.durable[name] = n
	}
}

func (d *folder) now() map[string]fs.InodeEmbedder {
	out := map[string]fs.InodeEmbedder{}
	for name, child := range d.Children() {
		out[name] = child.Operations()
	}
	return out
}

func (d *folder) cut(torn bool, rng *rand.Rand) *Image {
	names := d.durable
	if torn && rng.IntN(2) == 0 { // a rename is atomic: all of the names or none
		names = d.now()
	}
	out := &Image{Files: map[string][]byte{}, Dirs: map[string]*Image{}}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed repeats
		switch n := names[name].(type) {
		case *file:
			out.Files[name] = n.cut(torn, rng)
		case *folder:
			out.Dirs[name] = n.cut(torn, rng)
		}
	}
	return out
}

func (d *folder) Create(ctx context.Context, _ string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.fails(grows); errno != 0 {
		return nil, nil, 0, errno
	}
	n := &file{fs: d.fs, dirty: map[int64]bool{}}
	n.attr(&out.Attr)
	return d.NewPersistentInode(ctx, n, fs.StableAttr{Mode: syscall.S_IFREG}), nil, 0, 0
}

func (d *folder) Mkdir(ctx context.Context, _ string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.fails(grows); errno != 0 {
		return nil, errno
	}
	out.Mode = syscall.S_IFDIR | 0o700
	return d.NewPersistentInode(ctx, &folder{fs: d.fs, durable: map[string]fs.InodeEmbedder{}}, fs.StableAttr{Mode: syscall.S_IFDIR}), 0
}

func (d *folder) remove() syscall.Errno {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	return d.fs.fails(removes)
}

func (d *folder) Unlink(context.Context, string) syscall.Errno { return d.remove() }

func (d *folder) Rmdir(_ context.Context, name string) syscall.Errno {
	if child := d.GetChild(name); child != nil && len(child.Children()) > 0 {
		return syscall.ENOTEMPTY
	}
	return d.remove()
}

func (d *folder) Rename(_ context.Context, _ string, _ fs.InodeEmbedder, _ string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return d.remove()
}

func (d *folder) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	names := d.now()
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.fails(syncs); errno != 0 {
		return errno
	}
	d.fs.fsyncs++
	d.durable = names
	return 0
}

func (d *folder) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = pageSize, pageSize, 1<<20, 1<<20, 1<<20, 255
	return 0
}

// file is a regular file with its two images.
type file struct {
	fs.Inode
	fs       *FS
	volatile []byte
	durable  []byte
	dirty    map[int64]bool // pages that differ
	resized  bool           // the size was set and not yet fsynced
}

var (
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeFlusher   = (*file)(nil)
)

func (n *file) attr(out *fuse.Attr) {
	out.Mode = syscall.S_IFREG | 0o600
	out.Size = uint64(len(n.volatile))
	out.Blocks = (out.Size + 511) / 512
	out.Blksize = pageSize
	out.Nlink = 1
}

func (n *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0 // through the page cache: the -shm file is mapped
}

func (n *file) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

func (n *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.attr(&out.Attr)
	return 0
}

func (n *file) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		if errno := n.fs.fails(grows); errno != 0 {
			return errno
		}
		old := int64(len(n.volatile))
		n.resize(int64(size))
		n.resized = true
		for at := min(old, int64(size)) / pageSize; at*pageSize < max(old, int64(size)); at++ {
			n.dirty[at] = true
		}
	}
	n.attr(&out.Attr)
	return 0
}

func (n *file) resize(size int64) {
	if size <= int64(len(n.volatile)) {
		n.volatile = n.volatile[:size:size]
		return
	}
	n.volatile = append(n.volatile, make([]byte, size-int64(len(n.volatile)))...)
}

func (n *file) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.fails(reads); errno != 0 {
		return nil, errno
	}
	if off >= int64(len(n.volatile)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.volatile[off:])]), 0
}

func (n *file) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.fails(grows); errno != 0 {
		return 0, errno
	}
	end := off + int64(len(data))
	if end > int64(len(n.volatile)) {
		n.resize(end)
	}
	copy(n.volatile[off:], data)
	for at := off / pageSize; at*pageSize < end; at++ {
		n.dirty[at] = true
	}
	return uint32(len(data)), 0
}

func (n *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.fails(syncs); errno != 0 {
		return errno
	}
	n.fs.fsyncs++
	n.durable = fit(n.durable, len(n.volatile))
	for at := range n.dirty {
		copyPage(n.durable, n.volatile, at)
	}
	clear(n.dirty)
	n.resized = false
	return 0
}

// cut is the file after the power cut.
func (n *file) cut(torn bool, rng *rand.Rand) []byte {
	out := bytes.Clone(n.durable)
	if !torn {
		return out
	}
	if n.resized && rng.IntN(2) == 0 {
		out = fit(out, len(n.volatile))
	}
	for _, at := range slices.Sorted(maps.Keys(n.dirty)) {
		if rng.IntN(2) == 0 || at*pageSize >= int64(len(n.volatile)) {
			continue
		}
		end := min((at+1)*pageSize, int64(len(n.volatile)))
		if end > int64(len(out)) {
			out = fit(out, int(end))
		}
		if rng.IntN(2) == 0 {
			copyPage(out, n.volatile, at)
			continue
		}
		for s := at * pageSize; s < end; s += sectorSize { // a torn page
			if rng.IntN(2) == 0 {
				copy(out[s:min(s+sectorSize, end)], n.volatile[s:])
			}
		}
	}
	return out
}

// fit answers b with exactly size bytes, zeros where it grew.
func fit(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

func copyPage(to, from []byte, at int64) {
	start, end := at*pageSize, min((at+1)*pageSize, int64(len(from)), int64(len(to)))
	if start < end {
		copy(to[start:end], from[start:end])
	}
}
