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

    /** A weight [gates · hidden, in] as that of one direction, [1, gates · hidden, in]. */
    Tensor of(Tensor weight) {
        return reordered(weight).unsqueeze(0);
    }

    /** Numbers for each row as [1, gates · hidden, 1]; one for all as it is. */
    Tensor ofRows(Tensor numbers) {
        return numbers.numel() == 1
                ? numbers.reshape(1)
                : reordered(numbers).unsqueeze(0).unsqueeze(2);
    }

    /** Rows gate by gate. */
    Tensor reordered(Tensor rows) {
        Tensor plain = rows.detach();
        long each = plain.size(0) / places.size();
        List<Tensor> parts = new ArrayList<>();
        places.forEach(place -> parts.add(plain.narrow(0, place * each, each)));
        return torch.cat(new TensorVector(parts.toArray(Tensor[]::new)), 0);
    }
}
