package skerry

import (
	"errors"
	"strconv"
	"time"
)

// Errors of the host, compared with errors.Is.
var (
	ErrInvalid  = errors.New("invalid argument")
	ErrNotFound = errors.New("not found")
	ErrDenied   = errors.New("not granted")
	ErrLimit    = errors.New("limit reached")
	ErrIO       = errors.New("the host failed")
	ErrNoHost   = errors.New("not running under Skerry")
)

// Level of a log line.
type Level uint32

const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Flag of Publish: a quality of service, with Retain or not.
type Flag uint32

const (
	QoS0   Flag = 0
	QoS1   Flag = 1
	QoS2   Flag = 2
	Retain Flag = 4
)

// Event is what the handler runs for. It is valid until the handler returns.
type Event struct{ data []byte }

const (
	fieldData = iota
	fieldSubject
	fieldContentType
	fieldTrigger
	fieldID
	fieldTime
	_
	fieldSource
	fieldType
	fieldAttempt
	fieldFunction
)

// Data is the event's payload. It must not be kept after the handler returned.
func (e *Event) Data() []byte {
	if e.data == nil {
		n := int(hostEventGet(fieldData, buffer[:cap(buffer)]))
		if n > cap(buffer) {
			buffer = make([]byte, n)
			n = int(hostEventGet(fieldData, buffer))
		}
		e.data = buffer[:max(n, 0)]
	}
	return e.data
}

// One handler runs at a time: these are used again for each event and each value.
var (
	current Event
	buffer  = make([]byte, 0, 4<<10) // the data of the event
	scratch = make([]byte, 0, 1<<10) // other values, until they are copied
)

func (e *Event) Subject() string     { return text(fieldSubject) } // the MQTT topic
func (e *Event) ContentType() string { return text(fieldContentType) }
func (e *Event) Trigger() string     { return text(fieldTrigger) } // "app/trigger"
func (e *Event) ID() string          { return text(fieldID) }      // the same when the event is run again
func (e *Event) Source() string      { return text(fieldSource) }
func (e *Event) Type() string        { return text(fieldType) }
func (e *Event) Function() string    { return text(fieldFunction) } // "app/function"

// Time is when the source saw the event.
func (e *Event) Time() time.Time {
	ms, err := strconv.ParseInt(text(fieldTime), 10, 64)
	if err != nil {
		return time.Time{} // only without a host
	}
	return time.UnixMilli(ms)
}

// Attempt is 1 for the first run of this event.
func (e *Event) Attempt() int {
	n, err := strconv.Atoi(text(fieldAttempt))
	if err != nil {
		return 0 // only without a host
	}
	return n
}

// Reject says that the event can never be processed.
func Reject(reason string) error { return &verdict{handleReject, reason} }

// Retry asks for another run of the event later.
func Retry(reason string) error { return &verdict{handleRetry, reason} }

type verdict struct {
	result int32
	reason string
}

func (v *verdict) Error() string { return v.reason }

// Results of skerry_handle.
const (
	handleCommit = 0
	handleReject = 1
	handleRetry  = 2
	handleFailed = 3
)

var handler = func(*Event) error { return errors.New("the function gave no handler to skerry.Handle") }

// Handle sets the function's handler; call it from an init function.
func Handle(h func(ev *Event) error) { handler = h }

var starter = func() error { return nil }

// Start sets what runs once per instance, before the first event; an error
// refuses the function. Config and Log work there. Call it from an init function.
func Start(f func() error) { starter = f }

// start runs what Start was given.
func start() int32 {
	if err := starter(); err != nil {
		hostErrorSet(err.Error())
		return handleFailed
	}
	return handleCommit
}

// serve runs the handler for one event.
func serve() int32 {
	current = Event{}
	err := handler(&current)
	if err == nil {
		return handleCommit
	}
	hostErrorSet(err.Error())
	if v := (*verdict)(nil); errors.As(err, &v) {
		return v.result
	}
	return handleFailed
}

// check turns a number of the host into an error about what was done to name,
// in the host's words if it has some.
func check(what, name string, n int32) error {
	if n >= 0 {
		return nil
	}
	return refusal(what, name, errorOf(n))
}

func refusal(what, name string, is error) error {
	if is != ErrNotFound && is != ErrNoHost { // of these there is no more to say
		if why, n := readScratch(hostErrorGet); n > 0 {
			return &worded{string(why), is}
		}
	}
	return &wrapped{what, name, is}
}

// worded is an error whose text says all; is tells its kind.
type worded struct {
	text string
	is   error
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.is }

// wrapped is fmt.Errorf("%s%s: %w") without the size of fmt.
type wrapped struct {
	what, name string
	is         error
}

func (e *wrapped) Error() string { return e.what + e.name + ": " + e.is.Error() }
func (e *wrapped) Unwrap() error { return e.is }

func errorOf(n int32) error {
	switch n {
	case -1:
		return ErrInvalid
	case -2:
		return ErrNotFound
	case -3:
		return ErrDenied
	case -4:
		return ErrLimit
	case errnoNoHost:
		return ErrNoHost
	}
	return ErrIO
}

const errnoNoHost = -99 // answered by stub.go, never by a host

// read calls get with growing buffers until the value fits. The buffer is
// grown to the length the host told.
func read(buf []byte, get func(buf []byte) int32) ([]byte, int32) {
	for {
		n := get(buf[:cap(buf)])
		if n < 0 {
			return buf[:0], n
		}
		if int(n) <= cap(buf) {
			return buf[:n], n
		}
		buf = make([]byte, n)
	}
}

// readScratch is read into memory that the next value overwrites.
func readScratch(get func(buf []byte) int32) ([]byte, int32) {
	b, n := read(scratch, get)
	scratch = b
	return b, n
}
