package sensors

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// HTTPOptions say where events are posted to, and by whom. Device is needed;
// Token or ClientCAFile too, unless only this machine can reach Listen.
type HTTPOptions struct {
	Device string
	Listen string // host:port (0 is a free port) or unix:/path; "" means 127.0.0.1:9181

	Token        string // that callers show as "Authorization: Bearer <token>"
	TokenFile    string // its first line, read anew at each request, in place of Token
	CertFile     string // PEM: with KeyFile, TLS; read anew when they change
	KeyFile      string
	ClientCAFile string // PEM: callers need a certificate of one of these; read anew for each connection

	MaxBody    int64   // bytes of a body; 0 means 1 MiB
	Rate       float64 // requests a second of one client in the long run; 0 means 100
	Burst      int     // requests of one client at once; 0 means twice the rate
	MaxWaiting int     // requests whose event is not durable yet; 0 means 128
	Log        *slog.Logger
}

const (
	defaultHTTP    = "127.0.0.1:9181"
	defaultBody    = 1 << 20
	defaultRate    = 100
	defaultWaiting = 128
	spareConns     = 64               // connections beyond MaxWaiting
	bodyBudget     = 16 << 20         // bytes of all bodies whose events are not durable yet, at least one body
	headerTime     = 5 * time.Second  // for the handshake and the head of a request
	bodyTime       = 30 * time.Second // for its body
	idleTime       = 30 * time.Second
	answerTime     = 10 * time.Second // for the caller to take the answer
	maxRequestHead = 16 << 10         // bytes
	shutdownHTTP   = time.Second
)

// HTTP is the source of events that are posted to /in/<path>; the path is their
// Subject. The answer comes once the event is durable, or, for a caller that
// asks for it, once a function has run.
type HTTP struct {
	opts   HTTPOptions
	source string // URI of its events
	to     broker.Endpoint
	tls    *tls.Config // nil: no encryption
	log    *slog.Logger
	rates  *rates
	slots  chan struct{} // one for each request whose event is not durable yet
	bodies atomic.Int64  // bytes reserved
	counts refusals
	*interest

	mu   sync.Mutex
	addr string // "" while it does not listen
	last error
}

var _ agent.Source = (*HTTP)(nil)

var errNotListening = errors.New("not listening yet")

// NewHTTP checks the options and reads the files they name; it does not listen
// yet.
func NewHTTP(opts HTTPOptions) (*HTTP, error) {
	opts.Listen = cmp.Or(opts.Listen, defaultHTTP)
	opts.MaxBody = cmp.Or(opts.MaxBody, defaultBody)
	opts.Rate = cmp.Or(opts.Rate, defaultRate)
	opts.Burst = cmp.Or(opts.Burst, max(1, int(2*opts.Rate)))
	opts.MaxWaiting = cmp.Or(opts.MaxWaiting, defaultWaiting)
	h := &HTTP{
		opts: opts, source: "/" + opts.Device + "/http", last: errNotListening,
		log:   cmp.Or(opts.Log, slog.Default()).With("source", agent.ViaHTTP),
		rates: newRates(opts.Rate, opts.Burst), slots: make(chan struct{}, opts.MaxWaiting),
		interest: newInterest(agent.ViaHTTP),
	}
	if err := h.configure(); err != nil {
		return nil, fmt.Errorf("http_in: %w", err)
	}
	return h, nil
}

// CheckHTTPListen refuses addresses that NewHTTP could not listen on; open tells
// that other machines reach it.
func CheckHTTPListen(text string) (open bool, err error) {
	e, err := httpEndpoint(text)
	return err == nil && !e.Private(), err
}

func httpEndpoint(text string) (broker.Endpoint, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok && path != "" {
		return broker.Endpoint{Network: "unix", Address: path}, nil
	}
	if _, port, err := net.SplitHostPort(text); err != nil || port == "" {
		return broker.Endpoint{}, fmt.Errorf("listen address %q must be host:port, as in %s, or unix:/path", text, defaultHTTP)
	}
	return broker.Endpoint{Network: "tcp", Address: text}, nil
}

func (h *HTTP) configure() (err error) {
	o := &h.opts
	if h.to, err = httpEndpoint(o.Listen); err != nil {
		return err
	}
	if !h.to.Private() && !h.hasToken() && o.ClientCAFile == "" {
		return fmt.Errorf("other machines reach %s: set a token (token_file), or client certificates (client_ca_file)", o.Listen)
	}
	if o.CertFile+o.KeyFile != "" {
		if h.tls, err = ServerTLS(o.CertFile, o.KeyFile); err != nil {
			return err
		}
	}
	if o.ClientCAFile == "" {
		return nil
	}
	if h.tls == nil {
		return errors.New("client_ca_file needs a certificate for this side too: set cert_file and key_file")
	}
	return askForCertificates(h.tls, o.ClientCAFile)
}

func (h *HTTP) hasToken() bool { return h.opts.Token+h.opts.TokenFile != "" }

// Run implements agent.Source: it listens until ctx ends. It returns an error
// when it cannot listen.
func (h *HTTP) Run(ctx context.Context, offer agent.Offer) error {
	inner, err := h.to.Listen(nil, false)
	if err != nil {
		err = fmt.Errorf("http_in: listen on %s: %w; is another program there?", h.to.Address, err)
		h.listening("", err)
		return err
	}
	h.listening(inner.Addr().String(), nil)
	defer h.listening("", errNotListening)
	if !h.to.Private() && h.tls == nil {
		h.log.Warn("the token goes over the network unencrypted; give http_in a certificate", "listen", h.to.Address)
	}
	h.log.Info("events may be posted", "address", inner.Addr().String())
	var l net.Listener = &fewConns{Listener: inner, free: make(chan struct{}, h.opts.MaxWaiting+spareConns), stop: ctx.Done()}
	if h.tls != nil {
		l = tls.NewListener(l, h.tls)
	}
	return serveUntil(ctx, l, &http.Server{
		Handler:           &posting{h, offer, ctx.Done()},
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxRequestHead,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	})
}

// serveUntil answers on l until ctx ends, and finishes what it is answering.
func serveUntil(ctx context.Context, l net.Listener, srv *http.Server) error {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("http_in: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownHTTP)
	defer cancel()
	if srv.Shutdown(end) != nil {
		srv.Close() // who is still there is too slow
	}
	<-served
	return nil
}

// Addr is the address that the source listens on, "" while it does not.
func (h *HTTP) Addr() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.addr
}

// Status tells how the source is.
func (h *HTTP) Status() agent.SourceStatus {
	filters, faults := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return agent.SourceStatus{
		Name: agent.ViaHTTP, Kind: "http", Connected: h.addr != "", Filters: filters,
		Inflight: len(h.slots), Note: joinNotes(h.last, append(slices.Clone(faults), h.counts.String())...),
	}
}

func (h *HTTP) listening(addr string, last error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addr, h.last = addr, last
}
