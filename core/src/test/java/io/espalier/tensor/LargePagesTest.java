package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LargePagesTest {
    @ParameterizedTest
    @ValueSource(longs = {0, 1, 1 << 19, (1 << 20) + 3, (1 << 23) + 1})
    @DisplayName("advice changes no tensor, whatever its size")
    void adviceChangesNothing(long elements) {
        try (var scope = new PointerScope()) {
            Tensor tensor = torch.empty(elements);
            tensor.fill_(new Scalar(1.0f));
            LargePages.advise(tensor);
            assertEquals(elements, tensor.sum().item_double());
        }
    }
}
