// Command admission-policy-check evaluates a ValidatingAdmissionPolicy with the code of the Kubernetes API server itself: an
// expression that fails on a field that is not there would keep the agent from its work, and no schema shows that.
// Usage: go run . POLICY.yaml
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// request is one write that the API server asks the policy about.
type request struct {
	what      string
	isAllowed bool
	by        user.Info
	operation admission.Operation
	resource  string
	sub       string
	name      string
	kind      schema.GroupVersionKind
	object    runtime.Object
	old       runtime.Object
}

const username = "system:serviceaccount:spotable:spotable-agent"

var (
	agent = &user.DefaultInfo{Name: username, Extra: map[string][]string{"authentication.kubernetes.io/node-name": {"n-1"}}}
	// An API server before 1.30 says nothing of the node.
	agentOfNoNode = &user.DefaultInfo{Name: username}
	kubelet       = &user.DefaultInfo{Name: "system:node:n-2"}
	nodeKind      = schema.GroupVersionKind{Version: "v1", Kind: "Node"}
	podKind       = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	evictionKind  = schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"}
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Usage: go run . POLICY.yaml")
		os.Exit(64)
	}
	policy := readPolicy(os.Args[1])
	wrong := 0
	for _, asked := range requests() {
		isAllowed, why := judge(compile(policy), asked)
		if isAllowed != asked.isAllowed {
			wrong++
			fmt.Printf("wrong: %s: allowed %v %s\n", asked.what, isAllowed, why)
		}
	}
	wrong += uselessValidations(policy)
	fmt.Printf("%d requests judged, %d wrong\n", len(requests()), wrong)
	if wrong > 0 {
		os.Exit(1)
	}
}

// uselessValidations counts those without which every request is judged as before: nothing above would notice their loss.
func uselessValidations(policy *admissionv1.ValidatingAdmissionPolicy) int {
	useless := 0
	for at := range policy.Spec.Validations {
		less := policy.DeepCopy()
		less.Spec.Validations = append(less.Spec.Validations[:at], less.Spec.Validations[at+1:]...)
		noticed := false
		for _, asked := range requests() {
			isAllowed, _ := judge(compile(less), asked)
			noticed = noticed || isAllowed != asked.isAllowed
		}
		if !noticed {
			useless++
			fmt.Printf("wrong: nobody misses validation %d\n", at)
		}
	}
	return useless
}

func readPolicy(path string) *admissionv1.ValidatingAdmissionPolicy {
	text, err := os.ReadFile(path)
	mustNot(err)
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	mustNot(yaml.UnmarshalStrict([]byte(strings.Split(string(text), "\n---\n")[0]), policy))
	return policy
}

// compile does what the API server's plugin does with a policy when it sees it.
func compile(policy *admissionv1.ValidatingAdmissionPolicy) validating.Validator {
	options := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion(), true))
	mustNot(err)
	for _, one := range policy.Spec.Variables {
		variable := &validating.Variable{Name: one.Name, Expression: one.Expression}
		if result := compiler.CompileAndStoreVariable(variable, options, environment.StoredExpressions); result.Error != nil {
			mustNot(fmt.Errorf("variable %s: %s", one.Name, result.Error.Error()))
		}
	}
	var conditions, messages, matches []plugincel.ExpressionAccessor
	for _, one := range policy.Spec.Validations {
		condition := &validating.ValidationCondition{Expression: one.Expression, Message: one.Message, Reason: one.Reason}
		if result := compiler.CompileCELExpression(condition, options, environment.StoredExpressions); result.Error != nil {
			mustNot(fmt.Errorf("validation %q: %s", one.Expression, result.Error.Error()))
		}
		conditions = append(conditions, condition)
		var message plugincel.ExpressionAccessor
		if one.MessageExpression != "" {
			message = &validating.MessageExpressionCondition{MessageExpression: one.MessageExpression}
		}
		messages = append(messages, message)
	}
	for at := range policy.Spec.MatchConditions {
		matches = append(matches, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[at]))
	}
	evaluator := func(expressions []plugincel.ExpressionAccessor) plugincel.ConditionEvaluator {
		return compiler.CompileCondition(expressions, options, environment.StoredExpressions)
	}
	matcher := matchconditions.NewMatcher(evaluator(matches), policy.Spec.FailurePolicy, "policy", "validate", policy.Name)
	return validating.NewValidator(evaluator(conditions), matcher, evaluator(nil), evaluator(messages), policy.Spec.FailurePolicy)
}

func judge(validator validating.Validator, asked request) (bool, string) {
	resource := schema.GroupVersionResource{Version: "v1", Resource: asked.resource}
	attributes := admission.NewAttributesRecord(asked.object, asked.old, asked.kind, "arena", asked.name, resource, asked.sub,
		asked.operation, &metav1.UpdateOptions{}, false, asked.by)
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedObject: asked.object,
		VersionedOldObject: asked.old, VersionedKind: asked.kind}
	result := validator.Validate(context.Background(), resource, versioned, nil, nil, celconfig.RuntimeCELCostBudget, nil)
	var reasons []string
	for _, decision := range result.Decisions {
		if decision.Action != validating.ActionAdmit {
			reasons = append(reasons, decision.Message)
		}
	}
	return len(reasons) == 0, strings.Join(reasons, "; ")
}

func requests() []request {
	bare := func(node *corev1.Node) { node.Labels, node.Annotations, node.Spec.Taints = nil, nil, nil }
	bareMarked := func(node *corev1.Node) {
		bare(node)
		node.Annotations = map[string]string{"spotable.dev/interruption": "{}"}
		node.Spec.Unschedulable = true
	}
	all := []request{
		update("its node is marked", true, agent, "n-1", nil, mark),
		update("its node is unmarked", true, agent, "n-1", mark, nil),
		update("its node, without labels, annotations and taints, is marked", true, agent, "n-1", bare, bareMarked),
		update("another node is marked", false, agent, "n-2", nil, mark),
		update("a node is marked by an agent of no node", false, agentOfNoNode, "n-1", nil, mark),
		update("somebody else writes to any node", true, kubelet, "n-2", nil, mark),
	}
	forbidden := map[string]change{
		"a label is changed":          func(node *corev1.Node) { node.Labels["pool"] = "other" },
		"a label is added":            func(node *corev1.Node) { node.Labels["node-role"] = "" },
		"a label is removed":          func(node *corev1.Node) { node.Labels = nil },
		"an annotation is changed":    func(node *corev1.Node) { node.Annotations["owner"] = "other" },
		"an annotation is added":      func(node *corev1.Node) { node.Annotations["new"] = "" },
		"an annotation is removed":    func(node *corev1.Node) { node.Annotations = nil },
		"a foreign taint is removed":  func(node *corev1.Node) { node.Spec.Taints = nil },
		"a foreign taint is added":    func(node *corev1.Node) { node.Spec.Taints = append(node.Spec.Taints, taint("new", "", "NoExecute")) },
		"a foreign taint is changed":  func(node *corev1.Node) { node.Spec.Taints[0].Value = "other" },
		"the instance is changed":     func(node *corev1.Node) { node.Spec.ProviderID = "aws:///eu-west-1a/i-2" },
		"a finalizer is added":        func(node *corev1.Node) { node.Finalizers = []string{"example.com/stay"} },
		"an owner reference is added": func(node *corev1.Node) { node.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} },
	}
	for what, how := range forbidden {
		all = append(all, update(what, false, agent, "n-1", nil, how))
	}
	uid := types.UID("u")
	byUID := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	return append(all,
		deletion("a pod of its node is deleted", true, agent, "n-1"),
		deletion("a pod of another node is deleted", false, agent, "n-2"),
		deletion("a pod of no node yet is deleted", false, agent, ""),
		deletion("a pod of no node yet is deleted by an agent of no node", false, agentOfNoNode, ""),
		eviction("a pod is evicted by its uid", true, byUID),
		eviction("a pod is evicted without its uid", false, &metav1.DeleteOptions{}),
		eviction("a pod is evicted without options", false, nil),
	)
}

type change func(*corev1.Node)

func update(what string, isAllowed bool, by user.Info, name string, before, after change) request {
	return request{what: what, isAllowed: isAllowed, by: by, operation: admission.Update, resource: "nodes", name: name,
		kind: nodeKind, object: node(name, after), old: node(name, before)}
}

func deletion(what string, isAllowed bool, by user.Info, nodeName string) request {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: nodeName}}
	pod.SetGroupVersionKind(podKind)
	return request{what: what, isAllowed: isAllowed, by: by, operation: admission.Delete, resource: "pods", name: "p",
		kind: podKind, old: pod}
}

func eviction(what string, isAllowed bool, options *metav1.DeleteOptions) request {
	object := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p"}, DeleteOptions: options}
	object.SetGroupVersionKind(evictionKind)
	return request{what: what, isAllowed: isAllowed, by: agent, operation: admission.Create, resource: "pods", sub: "eviction",
		name: "p", kind: evictionKind, object: object}
}

func node(name string, how change) *corev1.Node {
	object := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": "spot"}, Annotations: map[string]string{"owner": "us"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///eu-west-1a/i-1", Taints: []corev1.Taint{taint("games", "only", "NoSchedule")}},
	}
	object.SetGroupVersionKind(nodeKind)
	if how != nil {
		how(object)
	}
	return object
}

// mark is everything that an agent does to its node.
func mark(object *corev1.Node) {
	object.Spec.Unschedulable = true
	object.Annotations["spotable.dev/interruption"] = "{}"
	object.Labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "true"
	object.Spec.Taints = append(object.Spec.Taints, taint("spotable.dev/interruption", "spot-termination", "NoSchedule"),
		taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute"))
}

func taint(key, value string, effect corev1.TaintEffect) corev1.Taint {
	return corev1.Taint{Key: key, Value: value, Effect: effect}
}

func mustNot(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
