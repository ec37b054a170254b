// Reads a model as a program, rewrites it by a pass of one's own, and builds one by hand.
import io.espalier.graph.FreeDimensions;
import io.espalier.graph.Graph;
import io.espalier.graph.GraphBuilder;
import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.GraphTypes;
import io.espalier.graph.Node;
import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/** A convolution, an activation by a function, and a classifier. */
static class Net extends Module {
    final Conv2d conv = add("conv", new Conv2d(3, 8, 3, o -> o.stride(2)));
    final Linear fc = add("fc", new Linear(8, 10));

    @Override
    protected Tensor forward(Tensor x) {
        Tensor y = Functional.hardswish(conv.call(x));
        return fc.call(Functional.mean(y, new long[] {2, 3}, false));
    }
}

/**
 * A pass: a graph in, a graph out. Hardswish costs more than ReLU where there is no kernel for it.
 */
static Graph hardswishToRelu(Graph graph) {
    List<Node> nodes = new ArrayList<>();
    for (Node node : graph.nodes()) {
        nodes.add(
                node.calls(GraphOperator.HARDSWISH)
                        ? new Node.OperatorCall(
                                GraphOperator.RELU, node.inputs().getFirst(), node.result())
                        : node);
    }
    return graph.withNodes(nodes);
}

void main() {
    Libtorch.seed(1);
    var model = new Net();
    model.eval();
    Tensor picture = Tensors.randn(1, 3, 16, 16);
    GraphModule traced =
            GraphModule.trace(
                    model, List.of(picture), FreeDimensions.of("batch", "", "height", "width"));
    IO.println(traced.graph());

    GraphModule rewritten = new GraphModule(hardswishToRelu(traced.graph()), traced.modules());
    IO.println(rewritten.graph());
    Tensor activated = Functional.relu(model.conv.call(picture));
    Tensor expected = model.fc.call(Functional.mean(activated, new long[] {2, 3}, false));
    IO.println("as its parts: " + Tensors.equal(expected, rewritten.call(picture)));

    // What each value is, and what each step costs; heights and widths stay names.
    GraphTypes types = GraphTypes.of(traced);
    Value convolved = traced.graph().nodes().getFirst().result();
    TensorType type = types.of(convolved);
    Size height = type.shape().get(2);
    IO.println(convolved + " is " + type + ", its height " + height);
    IO.println(GraphCost.of(traced));

    // Ten lines by hand.
    var graph = new GraphBuilder();
    Value x = graph.input("x");
    Value hidden = graph.call("fc", new Linear(4, 8), x);
    Value gate = graph.apply(GraphOperator.SIGMOID, hidden);
    Value scaled = graph.apply(GraphOperator.MUL, hidden, gate);
    Value sum = graph.apply(GraphOperator.SUM, Map.of("dim", List.of(-1L)), scaled);
    GraphModule byHand = graph.returning(sum);
    IO.println(byHand.graph());
    IO.println(Tensors.toString(byHand.call(Tensors.ones(2, 4))));
    IO.println(GraphCost.of(byHand, Tensors.ones(2, 4)));
}
