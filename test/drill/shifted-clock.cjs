'use strict';
// Loaded before the agent in a drill: its wall clock is wrong from the start by DRILL_CLOCK_SKEW, and SIGUSR2 moves its
// wall clock by what the file says, as a step of NTP would.
const { readFileSync } = require('node:fs');

const real = Date.now;
let shiftMs = Number(process.env.DRILL_CLOCK_SKEW ?? 0);
Date.now = () => real() + shiftMs;
process.on('SIGUSR2', () => {
  shiftMs += Number(readFileSync(process.env.DRILL_CLOCK_FILE, 'utf8'));
});
