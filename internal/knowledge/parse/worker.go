package parse

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// workerArg in the place of a verb makes this binary a reader of documents.
const workerArg = "__parse"

// Sizes of a child. The heap is collected hard before the wall of the jail is met,
// so that what fits is read and what does not ends as Memory.
const (
	childMemory = 512 << 20
	childHeap   = 400 << 20
	childWall   = 60 * time.Second
	childFiles  = 32
	childPids   = 32
)

// Main is called in main after sandbox.Main. In a child that reads documents it
// never returns; in any other process it does nothing and reports false.
func Main() bool {
	if len(os.Args) != 2 || os.Args[1] != workerArg {
		return false
	}
	debug.SetMemoryLimit(childHeap)
	debug.SetMaxStack(256 << 20)
	limitMemory()
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "parse:", err)
		os.Exit(1) //nolint:forbidigo // in a child this is main
	}
	os.Exit(0) //nolint:forbidigo // in a child this is main
	return true
}

// answer is what a child says of a document.
type answer struct {
	Document *Document `json:"document,omitempty"`
	Error    *Error    `json:"error,omitempty"`
	Heap     uint64    `json:"heap"` // bytes that the child now holds
}

// serve reads documents until its input ends. It is what a child does, and all
// that it does.
func serve(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		head, err := readFrame(r, 64<<10)
		if err != nil {
			if err == io.EOF { //nolint:errorlint // readFrame returns it bare at the end
				return nil
			}
			return err
		}
		data, err := readFrame(r, MaxFile)
		if err != nil {
			return err
		}
		var input Input
		if err := json.Unmarshal(head, &input); err != nil {
			return fmt.Errorf("order: %w", err)
		}
		input.Data = data
		var a answer
		a.Document, a.Error = read(&input)
		input.Data = nil
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		a.Heap = m.HeapAlloc
		b, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if err := writeFrame(out, b); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if a.Document != nil {
			if err := writeFrame(out, []byte(a.Document.Text)); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
		a = answer{}
		// What the last document needed must not be counted with the next one.
		if m.HeapSys > childHeap/4 {
			debug.FreeOSMemory()
		}
	}
}

// A frame is its length in four bytes and its content.
func writeFrame(w io.Writer, b []byte) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// readFrame returns io.EOF only where a frame would begin.
func readFrame(r io.Reader, most int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > uint32(most) {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("frame: %w", noEOF(err))
	}
	return b, nil
}

func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // from io.ReadFull
		return io.ErrUnexpectedEOF
	}
	return err
}
