package recording

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Writer writes a recording.
type Writer struct {
	file *os.File
	zip  *gzip.Writer // nil: it is not packed
	buf  *bufio.Writer
	line []byte
}

// Create writes the header of a recording to the file of that name, instead of
// what was in it; "-" is standard output. Only its owner can read it.
func Create(path string, h Header) (*Writer, error) {
	w := &Writer{file: os.Stdout}
	if path != "-" {
		var err error
		if w.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return nil, fmt.Errorf("make the recording: %w", err)
		}
	}
	var to io.Writer = w.file
	if strings.HasSuffix(path, ".gz") {
		w.zip = gzip.NewWriter(w.file)
		to = w.zip
	}
	w.buf = bufio.NewWriterSize(to, 64<<10)
	line, err := AppendHeader(nil, h)
	if err == nil {
		err = w.WriteLine(line)
	}
	if err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// Write adds an entry.
func (w *Writer) Write(e *Entry) (err error) {
	if w.line, err = AppendEntry(w.line[:0], e); err != nil {
		return err
	}
	return w.WriteLine(w.line)
}

// WriteLine adds a line that AppendEntry made, its end included.
func (w *Writer) WriteLine(line []byte) error {
	if _, err := w.buf.Write(line); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

// Flush hands what was written to the system.
func (w *Writer) Flush() error {
	err := w.buf.Flush()
	if err == nil && w.zip != nil {
		err = w.zip.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

// Close ends the recording and makes it durable.
func (w *Writer) Close() error {
	err := w.buf.Flush()
	if w.zip != nil {
		err = errors.Join(err, w.zip.Close())
	}
	if w.file == os.Stdout {
		return err
	}
	if err = errors.Join(err, w.file.Sync(), w.file.Close()); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}
