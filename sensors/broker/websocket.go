package broker

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var errNotBinary = errors.New("MQTT in WebSockets is binary")

// webListener accepts the WebSocket connections that come in on a listener.
type webListener struct {
	net.Listener
	server  *http.Server
	upgrade websocket.Upgrader
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// listenWebSocket accepts MQTT in WebSockets on l. Browsers tell which host a
// page came from: strange lets pages of other hosts in.
func listenWebSocket(l net.Listener, strange bool) *webListener {
	w := &webListener{
		Listener: l, conns: make(chan net.Conn), closed: make(chan struct{}),
		upgrade: websocket.Upgrader{Subprotocols: []string{"mqtt", "mqttv3.1"}, HandshakeTimeout: helloWait},
	}
	if strange {
		w.upgrade.CheckOrigin = func(*http.Request) bool { return true }
	}
	w.server = &http.Server{Handler: http.HandlerFunc(w.handle), ReadHeaderTimeout: helloWait}
	go w.server.Serve(l) // ends with Close
	return w
}

func (w *webListener) handle(out http.ResponseWriter, r *http.Request) {
	ws, err := w.upgrade.Upgrade(out, r, nil)
	if err != nil {
		return // the client was told
	}
	select {
	case w.conns <- Stream(ws):
	case <-w.closed:
		ws.Close()
	}
}

// Accept implements net.Listener.
func (w *webListener) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (w *webListener) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.server.Close()
}

// Stream is a WebSocket connection as a stream of bytes, either end of it.
func Stream(ws *websocket.Conn) net.Conn { return &webConn{Conn: ws.NetConn(), ws: ws} }

// webConn is a WebSocket connection as a stream of bytes.
type webConn struct {
	net.Conn
	ws *websocket.Conn
	r  io.Reader // of the message that is being read; nil between two
}

// Read implements net.Conn.
func (c *webConn) Read(b []byte) (int, error) {
	for {
		if c.r == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errNotBinary
			}
			c.r = r
		}
		n, err := c.r.Read(b)
		if errors.Is(err, io.EOF) {
			c.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *webConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetReadDeadline implements net.Conn.
func (c *webConn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *webConn) SetWriteDeadline(t time.Time) error { return c.ws.SetWriteDeadline(t) }
