// Replaces prom-client in bundles that need no default metrics. The package's index loads every part of it, and with the default
// metrics, the push gateway and cluster support come modules of Node that cost a process megabytes.
exports.Registry = require('prom-client/lib/registry');
exports.Counter = require('prom-client/lib/counter');
exports.Gauge = require('prom-client/lib/gauge');
