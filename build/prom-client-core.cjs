// Replaces prom-client in bundles without default metrics. The package's index loads all of its parts, and the default
// metrics, the push gateway and cluster support load modules of Node that cost megabytes.
exports.Registry = require('prom-client/lib/registry');
exports.Counter = require('prom-client/lib/counter');
exports.Gauge = require('prom-client/lib/gauge');
