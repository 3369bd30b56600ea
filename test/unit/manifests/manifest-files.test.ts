import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesBelow, parseManifests, readProjectFile } from './manifest-files.ts';
import { manifestProblems } from './manifest-problems.ts';

/** Files that are no Kubernetes objects. */
const isOther = (path: string) => path.endsWith('/kustomization.yaml') || path.startsWith('manifests/iam/');
const objectFiles = filesBelow('manifests', '.yaml').filter((path) => !isOther(path));

for (const path of objectFiles)
  test(`${path} holds Kubernetes objects without unknown fields or wrong types`, () => {
    const objects = parseManifests(readProjectFile(path));
    assert.ok(objects.length > 0);
    assert.deepEqual(objects.flatMap(manifestProblems), []);
  });

for (const path of objectFiles.filter((file) => file.endsWith('rbac.yaml')))
  test(`${path} gives a reason for each verb`, () => {
    const verbs = [...readProjectFile(path).matchAll(/^\s+- (get|list|watch|create|update|patch|delete|\*)\b(.*)$/gm)];
    assert.ok(verbs.length > 0);
    for (const [line, , rest = ''] of verbs) assert.match(rest, / # \w+/, line);
    assert.doesNotMatch(readProjectFile(path), /verbs: *\[/);
  });
