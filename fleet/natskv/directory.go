package natskv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/transport"
)

// KV is a directory in NATS.
type KV struct {
	o    options
	nc   *nats.Conn
	js   jetstream.JetStream
	ctx  context.Context //nolint:containedctx // ends when the directory closes
	end  context.CancelFunc
	link linkState
	wg   sync.WaitGroup

	mu     sync.Mutex
	bucket jetstream.KeyValue // nil until it was found or made
}

var _ fleet.Directory = (*KV)(nil)

// Open makes a directory of servers: nats://host:port or tls://host:port, several
// with commas between them. It returns at once: a directory that cannot be reached
// now is tried again for as long as it is open, and calls fail with
// [fleet.ErrDirectory] until then.
func Open(servers string, opts ...Option) (*KV, error) {
	o := options{bucket: DefaultBucket, replicas: 1, memory: 64 << 20, log: slog.New(slog.DiscardHandler), timeout: 5 * time.Second}
	for _, f := range opts {
		f.apply(&o)
	}
	encrypt, err := checkServers(servers)
	if err != nil {
		return nil, err
	}
	k := &KV{o: o, link: linkState{changed: make(chan struct{})}}
	k.ctx, k.end = context.WithCancel(context.Background())
	if err := k.connect(servers, encrypt); err != nil {
		k.end()
		return nil, err
	}
	return k, nil
}

// checkServers finds wrong URLs; encrypt says that one asks for TLS, which then all
// have.
func checkServers(servers string) (encrypt bool, err error) {
	list := strings.Split(servers, ",")
	if len(list) > 16 {
		return false, fmt.Errorf("%w: %d servers", fleet.ErrDirectory, len(list))
	}
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			return false, fmt.Errorf("%w: %q is not nats://host:port or tls://host:port", fleet.ErrDirectory, s)
		}
		if u.User != nil { // all users of a machine can read arguments
			return false, fmt.Errorf("%w: user and password do not belong into a URL", fleet.ErrDirectory)
		}
		encrypt = encrypt || u.Scheme == "tls"
	}
	return encrypt, nil
}

func (k *KV) connect(servers string, encrypt bool) error {
	d, err := newDialer(k.ctx, &k.o, encrypt, k.link.failed)
	if err != nil {
		return err
	}
	opts := []nats.Option{
		nats.Name("genie"), nats.SetCustomDialer(d), nats.SkipHostLookup(), nats.IgnoreDiscoveredServers(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), // what was not sent is out of date later
		nats.Timeout(k.o.timeout), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { k.link.set(true) }),
		nats.ReconnectHandler(func(*nats.Conn) { k.link.set(true) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			k.o.log.Debug("the directory's connection broke", "error", err)
			k.link.set(false)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			k.o.log.Debug("the directory cannot be reached", "error", err)
			k.link.failed(err)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			k.o.log.Debug("directory", "error", err)
			k.link.failed(err)
		}),
	}
	if c := k.o.credentials; c.Token != "" || c.TokenFile != "" {
		if _, err := c.Secret(); err != nil {
			return err
		}
		opts = append(opts, nats.TokenHandler(func() string {
			token, err := c.Secret()
			if err != nil {
				k.link.failed(err)
			}
			return token
		}))
	}
	if k.o.creds != "" {
		opts = append(opts, nats.UserCredentials(k.o.creds))
	}
	if k.nc, err = nats.Connect(servers, opts...); err != nil {
		return fmt.Errorf("%w: %w", fleet.ErrDirectory, err)
	}
	if k.nc.IsConnected() {
		k.link.set(true)
	}
	k.js, err = jetstream.New(k.nc)
	return err
}

// linkState is whether the connection is there. It is safe for concurrent use.
type linkState struct {
	mu      sync.Mutex
	up      bool
	err     error         // why it is not
	changed chan struct{} // closed and replaced with every change
}

func (l *linkState) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
	if up {
		l.err = nil
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *linkState) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// now gives the state, a channel that is closed when it changes, and why it is down.
func (l *linkState) now() (up bool, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.changed, l.err
}

// unreachable is an error of the library, with what is known of the connection.
func (k *KV) unreachable(err error) error {
	if k.ctx.Err() != nil {
		return fmt.Errorf("%w: directory", transport.ErrClosed)
	}
	if up, _, why := k.link.now(); !up && why != nil {
		return fmt.Errorf("%w: %w: %w", fleet.ErrDirectory, err, why)
	}
	return fmt.Errorf("%w: %w", fleet.ErrDirectory, err)
}

// connected waits for the connection.
func (k *KV) connected(ctx context.Context) error {
	for {
		up, changed, _ := k.link.now()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return k.unreachable(context.Cause(ctx))
		case <-k.ctx.Done():
			return k.unreachable(context.Cause(k.ctx))
		}
	}
}

// kv finds the bucket, or makes it.
func (k *KV) kv(ctx context.Context) (jetstream.KeyValue, error) {
	if err := k.connected(ctx); err != nil {
		return nil, err
	}
	if b := k.found(nil); b != nil {
		return b, nil
	}
	b, err := k.js.KeyValue(ctx, k.o.bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		b, err = k.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: k.o.bucket, Description: "Workers of a Genie fleet", History: 1, Storage: jetstream.MemoryStorage,
			MaxValueSize: fleet.MaxEntry + maxHeaders, MaxBytes: k.o.memory, Replicas: k.o.replicas, LimitMarkerTTL: time.Minute,
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // somebody else was faster
			b, err = k.js.KeyValue(ctx, k.o.bucket)
		}
	}
	if err != nil {
		return nil, k.unreachable(err)
	}
	return k.found(b), nil
}

// found remembers a bucket, and gives the one that is remembered.
func (k *KV) found(b jetstream.KeyValue) jetstream.KeyValue {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b != nil {
		k.bucket = b
	}
	return k.bucket
}

// forget forgets the bucket: a server that came back may have lost it.
func (k *KV) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bucket = nil
}

// Put implements [fleet.Directory]. Leases are rounded up to seconds.
func (k *KV) Put(ctx context.Context, key string, value []byte, lease time.Duration) error {
	if err := fleet.CheckEntry(key, value); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, k.o.timeout)
	defer cancel()
	if _, err := k.kv(ctx); err != nil {
		return err
	}
	life := max((lease + time.Second - 1).Truncate(time.Second), time.Second)
	subject := "$KV." + k.o.bucket + "." + key
	if _, err := k.js.Publish(ctx, subject, value, jetstream.WithMsgTTL(life)); err != nil {
		k.forget()
		return k.unreachable(err)
	}
	return nil
}

// Delete implements [fleet.Directory].
func (k *KV) Delete(ctx context.Context, key string) error {
	if err := fleet.CheckEntry(key, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, k.o.timeout)
	defer cancel()
	b, err := k.kv(ctx)
	if err != nil {
		return err
	}
	if err := b.Purge(ctx, key); err != nil {
		k.forget()
		return k.unreachable(err)
	}
	return nil
}

// Watch implements [fleet.Directory].
func (k *KV) Watch(context.Context) (fleet.Watch, error) {
	if k.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: directory", transport.ErrClosed)
	}
	ctx, cancel := context.WithCancel(k.ctx)
	p := fleet.NewPending(cancel)
	k.wg.Go(func() { k.watch(ctx, p) })
	return p, nil
}

// Close implements [fleet.Directory].
func (k *KV) Close() error {
	k.end()
	k.wg.Wait()
	k.nc.Close()
	return nil
}

// Opener is [Open] for genie.WithDirectory.
func Opener(opts ...Option) func(url string) (fleet.Directory, error) {
	return func(url string) (fleet.Directory, error) { return Open(url, opts...) }
}
