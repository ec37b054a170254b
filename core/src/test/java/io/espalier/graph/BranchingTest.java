package io.espalier.graph;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.ToDoubleFunction;

@DisplayName("A model that goes several ways")
class BranchingTest {
    /** By the numbers that it sees, or by how often it was called. */
    private static final class Branching extends Module {
        private final Linear fc = add("fc", new Linear(4, 4));
        private final ToDoubleFunction<Tensor> choice;
        private final boolean late;

        Branching(boolean late, ToDoubleFunction<Tensor> choice) {
            this.late = late;
            this.choice = choice;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = fc.call(x);
            return choice.applyAsDouble(late ? y : x) > 0 ? y : Functional.relu(y);
        }
    }

    private int calls;

    @Test
    @DisplayName("is refused, whatever it goes by")
    void refused() {
        List<ToDoubleFunction<Tensor>> choices =
                List.of(
                        x -> x.sum().item_double(),
                        x -> x.max().item_double() - 100,
                        x -> x.get(0).get(0).item_double(),
                        x -> calls++ % 2);
        for (int seed = 0; seed < 10; seed++) {
            Libtorch.seed(seed);
            Tensor x = Tensors.randn(2, 4);
            for (int i = 0; i < choices.size(); i++) {
                for (boolean late : new boolean[] {false, true}) {
                    var model = new Branching(late, choices.get(i));
                    model.eval();
                    String what = "choice " + i + (late ? ", late" : "") + ", seed " + seed;
                    assertThrows(EspalierException.class, () -> GraphModule.trace(model, x), what);
                }
            }
        }
    }
}
