package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.nn.Conv2d;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;

@DisplayName("A converted model, traced")
class TracedAgainTest {
    /** Two convolutions whose results are joined. */
    private static final class Joined extends Module {
        final Conv2d left = add("left", new Conv2d(2, 3, 1));
        final Conv2d right = add("right", new Conv2d(2, 3, 1));
        final FloatFunctional join = add("join", new FloatFunctional());
        private final BiFunction<FloatFunctional, List<Tensor>, Tensor> operation;

        Joined(BiFunction<FloatFunctional, List<Tensor>, Tensor> operation) {
            this.operation = operation;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return operation.apply(join, List.of(left.call(x), right.call(x)));
        }
    }

    private static final Map<GraphOperator, BiFunction<FloatFunctional, List<Tensor>, Tensor>>
            JOINS =
                    Map.of(
                            GraphOperator.QUANTIZED_ADD,
                            (join, tensors) -> join.add(tensors.getFirst(), tensors.getLast()),
                            GraphOperator.QUANTIZED_ADD_RELU,
                            (join, tensors) -> join.addRelu(tensors.getFirst(), tensors.getLast()),
                            GraphOperator.QUANTIZED_MUL,
                            (join, tensors) -> join.mul(tensors.getFirst(), tensors.getLast()),
                            GraphOperator.QUANTIZED_CAT,
                            (join, tensors) -> join.cat(tensors, 1),
                            GraphOperator.QUANTIZED_ADD_SCALAR,
                            (join, tensors) -> join.addScalar(tensors.getFirst(), 0.5),
                            GraphOperator.QUANTIZED_MUL_SCALAR,
                            (join, tensors) -> join.mulScalar(tensors.getFirst(), 0.5),
                            GraphOperator.MATMUL,
                            (join, tensors) -> join.matmul(tensors.getFirst(), tensors.getLast()));

    @Test
    @DisplayName("has the arithmetic between its layers as steps, and gives the same")
    void arithmetic() {
        JOINS.forEach((operator, operation) -> {
            Libtorch.seed(1);
            var model = new Joined(operation);
            model.eval();
            model.qconfig(QConfig.forBackend("fbgemm"));
            Tensor x = Tensors.randn(2, 2, 3, 3);
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model);

            GraphModule traced = GraphModule.trace(model, x);

            assertTrue(
                    traced.graph().nodes().stream().anyMatch(node -> node.calls(operator)),
                    () -> operator + " is in\n" + traced.graph());
            Tensor other = Tensors.randn(3, 2, 3, 3);
            assertTrue(Tensors.equal(model.call(other), traced.call(other)), operator::toString);
        });
    }
}
