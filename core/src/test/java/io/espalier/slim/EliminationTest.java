package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.slim.Elimination.Pace;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

@DisplayName("Units that go")
class EliminationTest {
    private static final Place PLACE = new Place("weight", 1);

    private final PointerScope scope = new PointerScope();

    @AfterEach
    void free() {
        scope.close();
    }

    private static Group group(int count) {
        List<Unit> units =
                IntStream.range(0, count)
                        .mapToObj(
                                i -> new Unit(i, new LinkedHashMap<>(Map.of(PLACE, new int[] {i}))))
                        .toList();
        return new Group(1, units, Optional.empty(), false);
    }

    private static Set<Integer> numbers(List<Unit> units) {
        Set<Integer> numbers = new HashSet<>();
        units.forEach(unit -> numbers.add(unit.atom()));
        return numbers;
    }

    @Test
    @DisplayName("go several at once where they have little to do with each other, in their order")
    void independent() {
        Libtorch.seed(3);
        Tensor xx = torch.eye(256).to(ScalarType.Double);
        Tensor start = Tensors.of(1f).expand(256, 1).to(ScalarType.Double).clone();
        IntStream.range(0, 256)
                .forEach(i -> start.select(0, i).mul_(new Scalar(1 + (i * 37 % 256) / 100.0)));
        Group group = group(256);
        try (var surgeon = surgeon(xx, start)) {
            Map<InputCosts, Tensor> inputs = Map.of(surgeon, UnitInputs.of(group, PLACE, 1));
            var elimination = new Elimination(group, inputs, Pace.CAREFUL);

            elimination.next(9);
            assertEquals(4, elimination.order().size());
            List<Unit> gone = elimination.to(200);

            assertEquals(
                    IntStream.range(0, 56).boxed().toList(),
                    gone.stream().map(unit -> unit.atom() * 37 % 256).toList());
        }
    }

    @Test
    @DisplayName("are never both of two that stand in for each other")
    void twins() {
        Libtorch.seed(3);
        Tensor half = Tensors.randn(600, 64);
        Tensor x = half.repeat(1, 2).to(ScalarType.Double);
        Tensor xx = x.t().matmul(x).div(new Scalar(600));
        Tensor start = Tensors.randn(128, 5).to(ScalarType.Double);
        Group group = group(128);
        try (var surgeon = surgeon(xx, start)) {
            Map<InputCosts, Tensor> inputs = Map.of(surgeon, UnitInputs.of(group, PLACE, 1));

            Set<Integer> gone = numbers(new Elimination(group, inputs, Pace.CAREFUL).to(64));

            for (int i = 0; i < 64; i++) {
                assertTrue(gone.contains(i) != gone.contains(i + 64), "pair " + i);
            }
        }
    }

    private static BrainSurgeon surgeon(Tensor xx, Tensor start) {
        Tensor given = torch.zeros_like(start.select(1, 0));
        Tensor outputs = torch.zeros_like(start.select(0, 0));
        Tensor yx = xx.matmul(start).t().unsqueeze(0);
        return BrainSurgeon.of(
                new LayerSums.Moments(xx.unsqueeze(0), yx, given, outputs, outputs), start, 0);
    }
}
