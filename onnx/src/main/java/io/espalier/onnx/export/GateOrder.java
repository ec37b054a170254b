package io.espalier.onnx.export;

import io.espalier.nn.RecurrentShape.Kind;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.List;

/**
 * The gates of a recurrent layer in ONNX's order: i, o, f, c of an LSTM, where libtorch has i, f,
 * g, o; z, r, h of a GRU, where libtorch has r, z, n.
 */
@SuppressWarnings("ImmutableEnumChecker") // the lists are List.of
enum GateOrder {
    LSTM(0, 3, 1, 2),
    GRU(1, 0, 2);

    private final List<Integer> places;

    GateOrder(Integer... places) {
        this.places = List.of(places);
    }

    static GateOrder of(Kind kind) {
        return kind == Kind.LSTM ? LSTM : GRU;
    }

    /**
     * Weights [gates · hidden, in], one for each direction, as [directions, gates · hidden, in].
     */
    Tensor of(List<Tensor> weights) {
        return together(weights.stream().map(weight -> reordered(weight).unsqueeze(0)).toList());
    }

    /**
     * Numbers for each row, or one for all rows, of each direction: [directions, gates · hidden,
     * 1], or [1] where that is enough.
     */
    Tensor ofRows(List<Tensor> numbers, long rows) {
        if (numbers.size() == 1 && numbers.getFirst().numel() == 1) {
            return numbers.getFirst().detach().reshape(1);
        }
        return together(
                numbers.stream()
                        .map(each ->
                                reordered(each.numel() == 1 ? each.reshape(1).expand(rows) : each)
                                        .unsqueeze(0)
                                        .unsqueeze(2))
                        .toList());
    }

    private static Tensor together(List<Tensor> parts) {
        return torch.cat(new TensorVector(parts.toArray(Tensor[]::new)), 0);
    }

    /** Rows gate by gate. */
    Tensor reordered(Tensor rows) {
        Tensor plain = rows.detach();
        long each = plain.size(0) / places.size();
        List<Tensor> parts = new ArrayList<>();
        places.forEach(place -> parts.add(plain.narrow(0, place * each, each)));
        return together(parts);
    }
}
