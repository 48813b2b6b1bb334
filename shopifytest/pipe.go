package shopifytest

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeListener is a net.Listener whose connections are pairs of in-memory
// pipes.
type pipeListener struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, address string) (net.Conn, error) {
	client, server := newPipe(address)
	select {
	case l.accepted <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: pipeAddr(address), Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("shopifytest") }

type pipeAddr string

func (a pipeAddr) Network() string { return "memory" }
func (a pipeAddr) String() string  { return string(a) }

// pipeSize is how much one direction holds before its writer waits.
const pipeSize = 256 << 10

// newPipe returns the two ends of a buffered connection. net.Pipe would not
// do: without a buffer, a server that answers before it has read the whole
// request and a client that sends it whole wait for each other.
func newPipe(address string) (client, server net.Conn) {
	up, down := newHalf(), newHalf()
	client = &pipeConn{in: down, out: up, local: "client", remote: pipeAddr(address)}
	server = &pipeConn{in: up, out: down, local: pipeAddr(address), remote: "client"}
	return client, server
}

type pipeConn struct {
	in, out       *half
	local, remote pipeAddr
}

func (c *pipeConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *pipeConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *pipeConn) LocalAddr() net.Addr         { return c.local }
func (c *pipeConn) RemoteAddr() net.Addr        { return c.remote }

func (c *pipeConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.in.readDeadline.set(t)
	c.out.writeDeadline.set(t)
	return nil
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.readDeadline.set(t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.writeDeadline.set(t)
	return nil
}

// half is one direction of a connection.
type half struct {
	mu                          sync.Mutex
	changed                     *sync.Cond
	buffer                      []byte
	consumed                    int // so much of buffer was read already
	closed                      bool
	readDeadline, writeDeadline deadline
}

func newHalf() *half {
	h := &half{}
	h.changed = sync.NewCond(&h.mu)
	h.readDeadline.half, h.writeDeadline.half = h, h
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readDeadline.passed():
			return 0, os.ErrDeadlineExceeded
		case h.consumed < len(h.buffer):
			n := copy(b, h.buffer[h.consumed:])
			if h.consumed += n; h.consumed == len(h.buffer) {
				h.buffer, h.consumed = h.buffer[:0], 0
			}
			h.changed.Broadcast()
			return n, nil
		case h.closed:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		h.changed.Wait()
	}
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	written := 0
	for {
		switch {
		case h.closed:
			return written, io.ErrClosedPipe
		case h.writeDeadline.passed():
			return written, os.ErrDeadlineExceeded
		case len(b) == 0:
			return written, nil
		case len(h.buffer)-h.consumed < pipeSize:
			n := min(len(b), pipeSize-(len(h.buffer)-h.consumed))
			if h.consumed > 0 && len(h.buffer)+n > cap(h.buffer) {
				h.buffer = append(h.buffer[:0], h.buffer[h.consumed:]...)
				h.consumed = 0
			}
			h.buffer = append(h.buffer, b[:n]...)
			b, written = b[n:], written+n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.readDeadline.stop()
	h.writeDeadline.stop()
	h.changed.Broadcast()
}

// deadline wakes the waiters of its half when its time comes. Its half's lock
// guards it.
type deadline struct {
	half  *half
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time) {
	d.half.mu.Lock()
	defer d.half.mu.Unlock()
	d.stop()
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			d.half.mu.Lock()
			defer d.half.mu.Unlock()
			d.half.changed.Broadcast()
		})
	}
	d.half.changed.Broadcast()
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
