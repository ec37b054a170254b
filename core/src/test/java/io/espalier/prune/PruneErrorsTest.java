package io.espalier.prune;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;
import static io.espalier.prune.Prune.target;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Each mistake says what was asked, what is there and what to do, and changes nothing. */
class PruneErrorsTest {
    private final Linear linear = new Linear(5, 4);

    /** A module with a parameter of any shape. */
    static final class Holder extends Module {
        Holder(Tensor parameter) {
            addParameter("weight", parameter);
        }
    }

    /** The message, once the module is known to be as it was. */
    private static String refusal(Module module, Executable pruning) {
        Map<String, Tensor> before = copies(module);
        String message = messageOf(pruning);
        assertSameTensors(before, copies(module));
        assertFalse(Prune.isPruned(module));
        return message;
    }

    private static Map<String, Tensor> copies(Module module) {
        Map<String, Tensor> copies = new LinkedHashMap<>();
        module.stateDict().forEach((name, tensor) -> copies.put(name, tensor.clone()));
        return copies;
    }

    @ParameterizedTest
    @ValueSource(doubles = {1.5, -0.1, 2.0, Double.NaN, Double.POSITIVE_INFINITY})
    @DisplayName("a share outside 0 to 1, even one that is a whole number")
    void share(double amount) {
        String expected =
                "Amount "
                        + amount
                        + " is not a share from 0.0 to 1.0; to prune a count, give an integer.";

        assertEquals(
                expected, refusal(linear, () -> Prune.l1Unstructured(linear, "weight", amount)));
        assertEquals(
                expected,
                refusal(linear, () -> Prune.randomUnstructured(linear, "weight", amount)));
        assertEquals(
                expected,
                refusal(linear, () -> Prune.lnStructured(linear, "weight", amount, 2, 0)));
        assertEquals(
                expected,
                refusal(linear, () -> Prune.randomStructured(linear, "weight", amount, 0)));
    }

    @Test
    @DisplayName("a negative count")
    void negative() {
        assertEquals(
                "Amount -1 is negative; give a count of 0 or more.",
                refusal(linear, () -> Prune.l1Unstructured(linear, "weight", -1)));
    }

    @Test
    @DisplayName("a count above what can be pruned")
    void tooMany() {
        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: Amount 21 is more than the 20 that can be"
                        + " pruned; ask for at most 20.",
                refusal(linear, () -> Prune.l1Unstructured(linear, "weight", 21)));
        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: Amount 21 is more than the 20 that can be"
                        + " pruned; ask for at most 20.",
                refusal(linear, () -> Prune.randomUnstructured(linear, "weight", 21)));
        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: Amount 5 is more than the 4 that can be"
                        + " pruned; ask for at most 4.",
                refusal(linear, () -> Prune.lnStructured(linear, "weight", 5, 2, 0)));
        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: Amount 6 is more than the 5 that can be"
                        + " pruned; ask for at most 5.",
                refusal(linear, () -> Prune.randomStructured(linear, "weight", 6, -1)));
    }

    @Test
    @DisplayName("a count above what earlier pruning left")
    void tooManyLater() {
        Prune.l1Unstructured(linear, "weight", 15);
        Tensor mask = linear.buffer("weight_mask").clone();

        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: Amount 6 is more than the 5 that can be"
                        + " pruned; ask for at most 5.",
                messageOf(() -> Prune.l1Unstructured(linear, "weight", 6)));
        assertEquals(List.of(true), List.of(Tensors.equal(mask, linear.buffer("weight_mask"))));
    }

    @Test
    @DisplayName("a name that isn't there, with the names that are")
    void name() {
        assertEquals(
                "No parameter 'nope' in Linear to prune; it has: weight, bias.",
                refusal(linear, () -> Prune.l1Unstructured(linear, "nope", 0.5)));
        assertEquals(
                "No parameter 'weight' in ReLU to prune; it has none.",
                messageOf(() -> Prune.l1Unstructured(new ReLU(), "weight", 0.5)));
    }

    @Test
    @DisplayName("the stored name of a pruned parameter, which is not its public name")
    void storedName() {
        Prune.identity(linear, "weight");

        assertEquals(
                "No parameter 'weight_orig' in Linear to prune; it has: bias, weight.",
                messageOf(() -> Prune.l1Unstructured(linear, "weight_orig", 0.5)));
    }

    @ParameterizedTest
    @CsvSource({"2", "-3"})
    @DisplayName("a dimension that isn't there")
    void dimension(int dim) {
        String expected =
                "Pruning 'weight' [4, 5] of Linear: There is no dimension "
                        + dim
                        + " among 2; give one from -2 to 1.";

        assertEquals(
                expected, refusal(linear, () -> Prune.lnStructured(linear, "weight", 1, 2, dim)));
        assertEquals(
                expected, refusal(linear, () -> Prune.randomStructured(linear, "weight", 1, dim)));
    }

    @Test
    @DisplayName("channels of a tensor with one dimension")
    void oneDimension() {
        String expected =
                "Pruning 'bias' [4] of Linear: Channels can be pruned in 2 or more dimensions, not"
                        + " in 1; use an unstructured method.";

        assertEquals(expected, refusal(linear, () -> Prune.lnStructured(linear, "bias", 1, 2, 0)));
        assertEquals(expected, refusal(linear, () -> Prune.randomStructured(linear, "bias", 1, 0)));
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, -2, Double.NaN})
    @DisplayName("a norm that there is none of")
    void norm(double n) {
        assertEquals(
                "There is no norm of order "
                        + n
                        + " to prune by; n is a positive number, infinity or -infinity.",
                refusal(linear, () -> Prune.lnStructured(linear, "weight", 1, n, 0)));
    }

    @Test
    @DisplayName("a mask of another shape, or of anything but 0 and 1")
    void mask() {
        Tensor half = Tensors.ones(4, 5);
        half.select(0, 1).select(0, 2).fill_(new Scalar(0.5));

        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: The mask has shape [5, 4]; give one of shape"
                        + " [4, 5].",
                refusal(linear, () -> Prune.customFromMask(linear, "weight", Tensors.ones(5, 4))));
        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: The mask holds 0.5 at index [1, 2]; 0 prunes an"
                        + " entry, 1 keeps it, and nothing else is a mask.",
                refusal(linear, () -> Prune.customFromMask(linear, "weight", half)));
    }

    @Test
    @DisplayName("importance scores of another shape")
    void importance() {
        assertEquals(
                "The importance scores for 'weight' [4, 5] of Linear have shape [20]; give one"
                        + " score for each entry.",
                refusal(linear, () -> Prune.l1Unstructured(linear, "weight", 1, Tensors.ones(20))));
    }

    @Test
    @DisplayName("removing a mask that isn't there")
    void removeFirst() {
        assertEquals(
                "'weight' of Linear is not pruned, so there is no mask to remove; prune it first.",
                refusal(linear, () -> Prune.remove(linear, "weight")));
    }

    @Test
    @DisplayName("a tensor of integers")
    void integers() {
        BatchNorm2d norm = new BatchNorm2d(3);
        Holder holder = new Holder(Tensors.ones(3));
        Tensor parameter = holder.parameter("weight");
        parameter.set_requires_grad(false);
        parameter.set_data(Tensors.zeros(ScalarType.Long, 3));

        assertEquals(
                "'num_batches_tracked' of BatchNorm2d is a buffer (Long), not a parameter; only"
                        + " parameters can be pruned.",
                refusal(norm, () -> Prune.l1Unstructured(norm, "num_batches_tracked", 1)));
        assertEquals(
                "'weight' [3] of Holder holds integers (Long); only parameters of floating point"
                        + " can be pruned.",
                refusal(holder, () -> Prune.l1Unstructured(holder, "weight", 1)));
    }

    @Test
    @DisplayName("a weight that is NaN, by its place")
    void nan() {
        try (var guard = new NoGradGuard()) {
            linear.weight().select(0, 2).select(0, 3).fill_(new Scalar(Float.NaN));
        }
        String expected =
                "Pruning 'weight' [4, 5] of Linear: NaN at index [2, 3] can't be ranked; repair it,"
                        + " or give importance scores without NaN.";

        assertEquals(expected, refusal(linear, () -> Prune.l1Unstructured(linear, "weight", 0.5)));
        assertEquals(
                expected, refusal(linear, () -> Prune.lnStructured(linear, "weight", 0.5, 2, 0)));
    }

    @Test
    @DisplayName("a parameter without entries, and a list without parameters")
    void empty() {
        Holder holder = new Holder(Tensors.zeros(0, 3));

        assertEquals(
                "'weight' [0, 3] of Holder has no entries; there is nothing to prune.",
                refusal(holder, () -> Prune.l1Unstructured(holder, "weight", 0)));
        assertEquals(
                "There are no parameters to prune; give at least one target.",
                messageOf(() -> Prune.globalUnstructured(List.of(), L1Unstructured::new, 0.5)));
    }

    @Test
    @DisplayName("in global pruning one bad target spares the good ones")
    void global() {
        Linear other = new Linear(2, 2);
        List<Target> wrong = List.of(target(linear, "weight"), target(other, "wait"));
        List<Target> twice = List.of(target(linear, "weight"), target(linear, "weight"));
        List<Target> good = List.of(target(linear, "weight"), target(other, "weight"));

        assertEquals(
                "No parameter 'wait' in Linear to prune; it has: weight, bias.",
                refusal(linear, () -> Prune.globalUnstructured(wrong, L1Unstructured::new, 0.5)));
        assertEquals(
                "'weight' [4, 5] of Linear is listed twice; list each target once.",
                refusal(linear, () -> Prune.globalUnstructured(twice, L1Unstructured::new, 0.5)));
        assertEquals(
                "Pruning 2 parameters together: Amount 25 is more than the 24 that can be pruned;"
                        + " ask for at most 24.",
                refusal(linear, () -> Prune.globalUnstructured(good, L1Unstructured::new, 25)));
        assertEquals(
                "There are importance scores for 'bias' [4] of Linear, which is not among the"
                        + " targets; list it or leave them out.",
                refusal(
                        linear,
                        () ->
                                Prune.globalUnstructured(
                                        good,
                                        new L1Unstructured(1),
                                        Map.of(target(linear, "bias"), Tensors.ones(4)))));
        assertFalse(Prune.isPruned(other));
    }

    @Test
    @DisplayName("what a method of one's own gets wrong")
    void ownMethod() {
        record Broken(Tensor answer) implements PruningMethod.Unstructured {
            @Override
            public Tensor computeMask(Tensor scores, Tensor defaultMask) {
                return answer.matmul(Tensors.ones(7, 7));
            }
        }

        String message =
                refusal(
                        linear,
                        () -> Prune.apply(linear, "weight", new Broken(Tensors.ones(4, 5))));

        assertEquals(
                "Pruning 'weight' [4, 5] of Linear: mat1 and mat2 shapes cannot be multiplied (4x5"
                        + " and 7x7)",
                message);
    }

    @Test
    @DisplayName("a module that uses the mask's name for something else")
    void nameTaken() {
        linear.addBuffer("weight_mask", Tensors.ones(1));

        assertEquals(
                "'weight' [4, 5] of Linear needs the name 'weight_mask', which the module uses"
                        + " already.",
                refusal(linear, () -> Prune.l1Unstructured(linear, "weight", 0.5)));
    }
}
