package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// ending is how long what is being answered may take to end with the server.
const ending = 2 * time.Second

// Until has srv answer on l until ctx ends. The contexts of requests end with it;
// what does not end within 2 s then is cut off.
func Until(ctx context.Context, srv *http.Server, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	srv.BaseContext = func(net.Listener) context.Context { return ctx }
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
		defer cancel()
		if srv.Shutdown(last) != nil {
			srv.Close() // closes l too; there is nothing to wait for
		}
	}()
	err := srv.Serve(l)
	cancel()
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
