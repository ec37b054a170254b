package io.espalier.quant;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/** Small tensors as PyTorch prints them. */
final class Printed {
    private Printed() {}

    /** With the type where it isn't Python's default. */
    static String tensor(Tensor tensor) {
        String values = Tensors.toString(tensor);
        String type =
                switch (Tensors.type(tensor)) {
                    case Int -> ", dtype=torch.int32)";
                    case Byte -> ", dtype=torch.uint8)";
                    default -> ")";
                };
        return values.substring(0, values.length() - 1) + type;
    }
}
