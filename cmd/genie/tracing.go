package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/genie-sdk/go/genie/otelgenie"
	"github.com/genie-sdk/go/transport"
)

// traceFlush is how long sending the last spans may take.
const traceFlush = 2 * time.Second

// checkOTLP checks the form of --otlp-endpoint.
func checkOTLP(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return usagef("--otlp-endpoint %q is not http://host:port or https://host:port", endpoint)
	}
	return nil
}

// tracing sends spans to endpoint until stop, which sends the last ones. The
// tracer is nil without an endpoint. If a collector cannot be reached, spans
// are lost and a warning is printed.
func (a *app) tracing(ctx context.Context, endpoint, service string) (t transport.Tracer, stop func(), err error) {
	if endpoint == "" {
		return nil, func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, nil, fmt.Errorf("--otlp-endpoint %s: %w", endpoint, err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", service), attribute.String("service.version", currentVersion().Version),
	)))
	stop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceFlush)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			_, _ = fmt.Fprintf(a.stderr, "genie: warning: traces were not sent to %s: %s\n", endpoint, line(err))
		}
	}
	return otelgenie.New(otelgenie.WithTracerProvider(provider)), stop, nil
}
