package uplink

import (
	"errors"
	"net/http"
	"time"
)

// Class says what the answer to one attempt means for a record.
type Class uint8

const (
	// Delivered: the far side has it.
	Delivered Class = iota
	// FnError: the far side ran it and it failed; never sent again.
	FnError
	// Retry: nobody knows whether the far side has it; sent again, for ever.
	Retry
	// Hold: the far side refuses this gateway, not the record. As Retry, but
	// the target pauses for its longest backoff at once.
	Hold
	// Permanent: this record can never be delivered; it becomes a dead letter.
	Permanent
)

func (c Class) String() string {
	return [...]string{"DELIVERED", "DELIVERED_FN_ERROR", "RETRY", "HOLD", "PERMANENT"}[c]
}

// Error is an attempt that did not end in Delivered. A Target that returns any
// other error means Retry.
type Error struct {
	Class      Class
	Status     int           // HTTP status, 0 if there was no answer
	Reason     string        // one line for people, without secrets
	RetryAfter time.Duration // the far side asked for this pause, at most 1 h; 0 if it did not
	Err        error         // cause, may be nil
	Away       bool          // of Retry and Hold: the far side was not reached, which says nothing of the record
}

func (e *Error) Error() string { return e.Reason }
func (e *Error) Unwrap() error { return e.Err }

// ClassOf reads the class out of what a Target returned.
func ClassOf(err error) Class {
	if err == nil {
		return Delivered
	}
	return asError(err).Class
}

// asError makes any error of a Target a classed one.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: Retry, Reason: err.Error(), Err: err}
}

// classOfStatus is the table of the Knative data plane, with two changes:
// 401, 403, 407 and 410 speak about the gateway or the endpoint and hold the
// target, since no record should be lost to a wrong password; and redirects
// are retried, since they are how captive portals answer.
func classOfStatus(status int) Class {
	switch {
	case status >= 200 && status < 300:
		return Delivered
	case status < 400 || status >= 500:
		return Retry
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusGone:
		return Hold
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return Retry
	}
	return Permanent
}
