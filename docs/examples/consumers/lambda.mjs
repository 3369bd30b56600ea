// An AWS Lambda function with the queue as its event source (ReportBatchItemFailures on), which tells a matchmaker what
// it may use. A conditional write replaces the table: the highest sequence wins, whatever order the batches come in.

/**
 * `put(row)` must store the row only where it has none of this id, or one of a lower sequence that is not terminated.
 */
export function makeHandler(put) {
  return async ({ Records }) => {
    const batchItemFailures = [];
    for (const { messageId, body } of Records) {
      try {
        const { type, data } = JSON.parse(body);
        if (!type?.startsWith('dev.spotable.gameserver.')) continue;
        const takesPlayers = data.status === 'ready';
        await put({
          id: data.game_server_id,
          sequence: data.sequence,
          status: data.status,
          takesPlayers,
          address: data.public_hostname,
          port: data.public_port,
          until: data.deadline ?? data.lease_expires_at,
        });
      } catch (error) {
        // What is no JSON never will be: let it pass. What could not be stored comes again.
        if (!(error instanceof SyntaxError)) batchItemFailures.push({ itemIdentifier: messageId });
      }
    }
    return { batchItemFailures };
  };
}
