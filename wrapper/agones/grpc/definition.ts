/*
 * The protocol's messages and services for gRPC, in protobufjs' JSON form of a .proto file: a bundle then needs no file beside it. Names and
 * numbers are the protocol's, and what the wire depends on.
 */

import type { fromJSON } from '@grpc/proto-loader';

type Definition = Parameters<typeof fromJSON>[0];

const text = (id: number) => ({ type: 'string', id });
const texts = (id: number) => ({ type: 'string', id, rule: 'repeated' as const });
const int64 = (id: number) => ({ type: 'int64', id });
const int32 = (id: number) => ({ type: 'int32', id });
const bool = (id: number) => ({ type: 'bool', id });
const one = (type: string, id: number) => ({ type, id });
const many = (type: string, id: number) => ({ type, id, rule: 'repeated' as const });
const map = (type: string, id: number) => ({ type, id, keyType: 'string' });

const call = (requestType: string, responseType: string, streams: object = {}) => ({
  requestType,
  responseType,
  ...streams,
  // protobufjs demands it.
  comment: '',
});

const empty = { fields: {} };

const gameServer = {
  fields: { object_meta: one('ObjectMeta', 1), spec: one('Spec', 2), status: one('Status', 3) },
  nested: {
    ObjectMeta: {
      fields: {
        name: text(1),
        namespace: text(2),
        uid: text(3),
        resource_version: text(4),
        generation: int64(5),
        creation_timestamp: int64(6),
        deletion_timestamp: int64(7),
        annotations: map('string', 8),
        labels: map('string', 9),
      },
    },
    Spec: {
      fields: { health: one('Health', 1) },
      nested: {
        Health: {
          fields: {
            disabled: bool(1),
            period_seconds: int32(2),
            failure_threshold: int32(3),
            initial_delay_seconds: int32(4),
          },
        },
      },
    },
    Status: {
      fields: {
        state: text(1),
        address: text(2),
        ports: many('Port', 3),
        players: one('PlayerStatus', 4),
        counters: map('CounterStatus', 5),
        lists: map('ListStatus', 6),
        addresses: many('Address', 7),
      },
      nested: {
        Address: { fields: { type: text(1), address: text(2) } },
        Port: { fields: { name: text(1), port: int32(2) } },
        PlayerStatus: { fields: { count: int64(1), capacity: int64(2), ids: texts(3) } },
        CounterStatus: { fields: { count: int64(1), capacity: int64(2) } },
        ListStatus: { fields: { capacity: int64(1), values: texts(2) } },
      },
    },
  },
};

const stable = {
  Empty: empty,
  KeyValue: { fields: { key: text(1), value: text(2) } },
  Duration: { fields: { seconds: int64(1) } },
  GameServer: gameServer,
  SDK: {
    methods: {
      Ready: call('Empty', 'Empty'),
      Allocate: call('Empty', 'Empty'),
      Shutdown: call('Empty', 'Empty'),
      Health: call('Empty', 'Empty', { requestStream: true }),
      GetGameServer: call('Empty', 'GameServer'),
      WatchGameServer: call('Empty', 'GameServer', { responseStream: true }),
      SetLabel: call('KeyValue', 'Empty'),
      SetAnnotation: call('KeyValue', 'Empty'),
      Reserve: call('Duration', 'Empty'),
    },
  },
};

const nameAndValue = { fields: { name: text(1), value: text(2) } };

const beta = {
  Counter: { fields: { name: text(1), count: int64(2), capacity: int64(3) } },
  CounterUpdateRequest: {
    fields: {
      name: text(1),
      count: one('google.protobuf.Int64Value', 2),
      capacity: one('google.protobuf.Int64Value', 3),
      countDiff: int64(4),
    },
  },
  GetCounterRequest: { fields: { name: text(1) } },
  UpdateCounterRequest: { fields: { counterUpdateRequest: one('CounterUpdateRequest', 1) } },
  List: { fields: { name: text(1), capacity: int64(2), values: texts(3) } },
  GetListRequest: { fields: { name: text(1) } },
  UpdateListRequest: { fields: { list: one('List', 1), update_mask: one('google.protobuf.FieldMask', 2) } },
  AddListValueRequest: nameAndValue,
  RemoveListValueRequest: nameAndValue,
  SDK: {
    methods: {
      GetCounter: call('GetCounterRequest', 'Counter'),
      UpdateCounter: call('UpdateCounterRequest', 'Counter'),
      GetList: call('GetListRequest', 'List'),
      UpdateList: call('UpdateListRequest', 'List'),
      AddListValue: call('AddListValueRequest', 'List'),
      RemoveListValue: call('RemoveListValueRequest', 'List'),
    },
  },
};

const alpha = {
  Empty: empty,
  Count: { fields: { count: int64(1) } },
  Bool: { fields: { bool: bool(1) } },
  PlayerID: { fields: { playerID: text(1) } },
  PlayerIDList: { fields: { list: texts(1) } },
  SDK: {
    methods: {
      PlayerConnect: call('PlayerID', 'Bool'),
      PlayerDisconnect: call('PlayerID', 'Bool'),
      SetPlayerCapacity: call('Count', 'Empty'),
      GetPlayerCapacity: call('Empty', 'Count'),
      GetPlayerCount: call('Empty', 'Count'),
      IsPlayerConnected: call('PlayerID', 'Bool'),
      GetConnectedPlayers: call('Empty', 'PlayerIDList'),
    },
  },
};

export const definition: Definition = {
  nested: {
    agones: {
      nested: {
        dev: {
          nested: { sdk: { nested: { ...stable, beta: { nested: beta }, alpha: { nested: alpha } } } },
        },
      },
    },
    google: {
      nested: {
        protobuf: {
          nested: {
            Int64Value: { fields: { value: int64(1) } },
            FieldMask: { fields: { paths: texts(1) } },
          },
        },
      },
    },
  },
};
